//! Values of a call as parameters of a statement.

use mysql_async::Value as Bound;
use renkei_core::{Number, Value};

/// Numbers with so many digits keep all of them as doubles, on the way to a decimal, too.
const DOUBLE_DIGITS: usize = 15;

/// The value as a parameter; the error says why it cannot be one. What is compared goes as a text (`compare`).
pub(super) fn bound(value: &Value, compared: bool) -> Result<Bound, String> {
    Ok(match value {
        Value::Null => Bound::NULL,
        Value::String(text) => Bound::Bytes(text.as_bytes().to_vec()),
        Value::Bool(flag) if compared => Bound::Bytes(vec![b'0' + u8::from(*flag)]),
        Value::Bool(flag) => Bound::Int((*flag).into()),
        Value::Number(number) if compared => Bound::Bytes(number.to_string().into_bytes()),
        Value::Number(number) => self::number(number),
        Value::Array(_) | Value::Object(_) => {
            return Err(format!("an {} is no single value", value.type_name()));
        }
    })
}

/// About how many bytes it takes on its way.
pub(super) fn length(bound: &Bound) -> u64 {
    const FRAME: u64 = 16;
    match bound {
        Bound::Bytes(bytes) => FRAME + bytes.len() as u64,
        _ => FRAME,
    }
}

fn number(number: &Number) -> Bound {
    if let Some(int) = number.as_i64() {
        return Bound::Int(int);
    }
    let text = number.to_string();
    if let Ok(int) = text.parse::<u64>() {
        return Bound::UInt(int);
    }
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    match number.as_f64() {
        double if double.is_finite() && digits <= DOUBLE_DIGITS => Bound::Double(double),
        // As a text it keeps its digits; the server reads it as what the column is.
        _ => Bound::Bytes(text.into_bytes()),
    }
}
