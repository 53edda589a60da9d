//! `@csv` and its like: how a value becomes text that something else reads.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Flow, Machine, fail, strings::to_text};
use crate::{
    Value,
    template::{expr::Format, plain::with_article},
};

/// RFC 3986: what is not unreserved is encoded.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Padding may be missing, as jq allows.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn apply(m: &mut Machine<'_>, value: Value, format: Format) -> Flow<Value> {
    let mut text = String::new();
    write(m, format, &value, &mut text)?;
    Ok(text.into())
}

/// Appends a value in a format.
pub(super) fn write(m: &mut Machine<'_>, format: Format, value: &Value, text: &mut String) -> Flow {
    let start = text.len();
    match format {
        Format::Text => match value {
            Value::String(part) => text.push_str(part),
            other => text.push_str(&m.json(other)?),
        },
        Format::Json => text.push_str(&m.json(value)?),
        Format::Csv => row(m, value, ",", text, |field, text| {
            text.push('"');
            text.push_str(&field.replace('"', "\"\""));
            text.push('"');
        })?,
        Format::Tsv => row(m, value, "\t", text, |field, text| escape(field, text, tsv))?,
        Format::Html => escape(&to_text(m, value)?, text, html),
        Format::Uri => text.extend(utf8_percent_encode(&to_text(m, value)?, RESERVED)),
        Format::UriDecode => {
            text.push_str(&percent_decode_str(&to_text(m, value)?).decode_utf8_lossy());
        }
        Format::Sh => shell(m, value, text)?,
        Format::Base64 => STANDARD.encode_string(to_text(m, value)?.as_bytes(), text),
        Format::Base64Decode => {
            let bytes = LENIENT.decode(to_text(m, value)?).map_err(|_| fail("the text is not base64"))?;
            text.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
    m.create((text.len() - start) as u64)
}

fn row(
    m: &mut Machine<'_>,
    value: &Value,
    separator: &str,
    text: &mut String,
    quote: fn(&str, &mut String),
) -> Flow {
    let Value::Array(fields) = value else {
        return Err(fail(format!("a row is an array, not {}", with_article(value))));
    };
    for (i, field) in fields.iter().enumerate() {
        m.work(4)?;
        if i > 0 {
            text.push_str(separator);
        }
        match field {
            Value::Null => {}
            Value::String(field) => quote(field, text),
            Value::Bool(_) | Value::Number(_) => {
                m.check_finite(field)?;
                field.write_json(text);
            }
            other => return Err(fail(format!("a field of a row cannot be {}", with_article(other)))),
        }
    }
    Ok(())
}

fn escape(from: &str, text: &mut String, replace: fn(char) -> Option<&'static str>) {
    for letter in from.chars() {
        match replace(letter) {
            Some(replacement) => text.push_str(replacement),
            None => text.push(letter),
        }
    }
}

fn tsv(letter: char) -> Option<&'static str> {
    match letter {
        '\t' => Some("\\t"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\\' => Some("\\\\"),
        _ => None,
    }
}

fn html(letter: char) -> Option<&'static str> {
    match letter {
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '&' => Some("&amp;"),
        '\'' => Some("&#39;"),
        '"' => Some("&quot;"),
        _ => None,
    }
}

fn shell(m: &mut Machine<'_>, value: &Value, text: &mut String) -> Flow {
    let words = match value {
        Value::Array(words) => words.as_slice(),
        word => std::slice::from_ref(word),
    };
    for (i, word) in words.iter().enumerate() {
        m.work(1)?;
        if i > 0 {
            text.push(' ');
        }
        match word {
            Value::String(word) => {
                text.push('\'');
                text.push_str(&word.replace('\'', "'\\''"));
                text.push('\'');
            }
            Value::Array(_) | Value::Object(_) => {
                return Err(fail(format!("{} cannot be a word of a shell", with_article(word))));
            }
            scalar => {
                m.check_finite(scalar)?;
                scalar.write_json(text);
            }
        }
    }
    Ok(())
}
