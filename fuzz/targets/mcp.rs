#![no_main]

libfuzzer_sys::fuzz_target!(init: renkei_fuzz::sow("mcp"), |data: &[u8]| renkei_fuzz::TARGETS[4].1(data));
