#![no_main]

libfuzzer_sys::fuzz_target!(init: renkei_fuzz::sow("http"), |data: &[u8]| renkei_fuzz::TARGETS[3].1(data));
