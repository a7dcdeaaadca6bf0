#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| leveret::store::fuzz::checkpoint(input));
