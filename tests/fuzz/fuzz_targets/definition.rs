#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leveret::broker::fuzz::definition(input));
