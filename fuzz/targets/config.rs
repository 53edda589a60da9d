#![no_main]

libfuzzer_sys::fuzz_target!(init: renkei_fuzz::sow("config"), |data: &[u8]| renkei_fuzz::TARGETS[0].1(data));
