//! `numeric`: as many digits as there are.

use super::bytes::{Bytes, Malformed};

/// Digits of one group of the binary form.
const GROUP: usize = 4;

/// The number as the server writes it.
pub(super) fn read(mut bytes: Bytes<'_>) -> Result<String, Malformed> {
    let (count, weight, sign, scale) = (bytes.u16()?, bytes.i16()?, bytes.u16()?, bytes.u16()?);
    let sign = match sign {
        0x0000 => "",
        0x4000 => "-",
        0xC000 => return Ok("NaN".into()),
        0xD000 => return Ok("Infinity".into()),
        0xF000 => return Ok("-Infinity".into()),
        _ => return Err(Malformed),
    };
    let groups = (0..count).map(|_| bytes.u16()).collect::<Result<Vec<u16>, _>>()?;
    // The group of weight 0 ends before the point.
    let group = |weight_of: i32| {
        let index = i32::from(weight) - weight_of;
        usize::try_from(index).ok().and_then(|index| groups.get(index)).copied().unwrap_or(0)
    };
    let mut text = String::from(sign);
    let mut whole = String::new();
    for at in (0..=i32::from(weight).max(0)).rev() {
        whole.push_str(&format!("{:04}", group(at)));
    }
    let whole = whole.trim_start_matches('0');
    text.push_str(if whole.is_empty() { "0" } else { whole });
    let scale = usize::from(scale);
    if scale > 0 {
        let mut fraction = String::new();
        let mut at = -1;
        while fraction.len() < scale {
            fraction.push_str(&format!("{:0width$}", group(at), width = GROUP));
            at -= 1;
        }
        text.push('.');
        text.push_str(&fraction[..scale]);
    }
    Ok(text)
}
