#![no_main]

libfuzzer_sys::fuzz_target!(init: renkei_fuzz::sow("sql"), |data: &[u8]| renkei_fuzz::TARGETS[2].1(data));
