#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leveret_protocol::fuzz::table(input));
