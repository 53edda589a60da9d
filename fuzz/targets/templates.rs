#![no_main]

libfuzzer_sys::fuzz_target!(init: renkei_fuzz::sow("templates"), |data: &[u8]| renkei_fuzz::TARGETS[1].1(data));
