//! Names for tools and arguments, from the names of tables and columns.

use std::collections::BTreeSet;

/// Nouns whose plural has no rule.
const IRREGULAR: &[(&str, &str)] = &[
    ("person", "people"),
    ("child", "children"),
    ("man", "men"),
    ("woman", "women"),
    ("foot", "feet"),
    ("tooth", "teeth"),
    ("mouse", "mice"),
    ("datum", "data"),
    ("medium", "media"),
    ("criterion", "criteria"),
    ("analysis", "analyses"),
    ("basis", "bases"),
    ("bus", "buses"),
    ("movie", "movies"),
    ("status", "statuses"),
    ("alias", "aliases"),
    ("index", "indices"),
    ("leaf", "leaves"),
    ("shelf", "shelves"),
    ("series", "series"),
    ("news", "news"),
    ("species", "species"),
];

/// In lower case, words with `_` between them: `OrderItems`, `order items` and `ORDER_ITEMS` are `order_items`.
/// Letters beyond ASCII that have no plain form are left out; nothing may be left.
pub(crate) fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut out = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| letters[at]);
        let next = letters.get(at + 1);
        // A new word begins at a capital after a small letter, and at the last of several capitals before one.
        let begins = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_ascii_digit()
                    || before.is_uppercase() && next.is_some_and(|next| next.is_lowercase())
            });
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        match plain(*letter) {
            Some(text) => out.push_str(text),
            None if letter.is_ascii_alphanumeric() => out.push(letter.to_ascii_lowercase()),
            None if out.ends_with('_') => {}
            None => out.push('_'),
        }
    }
    let trimmed = out.trim_matches('_');
    match trimmed.bytes().next() {
        Some(byte) if byte.is_ascii_digit() => format!("n{trimmed}"),
        _ => trimmed.to_owned(),
    }
}

/// What people write where a letter is missing.
fn plain(letter: char) -> Option<&'static str> {
    Some(match letter {
        'ä' | 'Ä' | 'æ' | 'Æ' => "ae",
        'ö' | 'Ö' | 'ø' | 'Ø' | 'œ' | 'Œ' => "oe",
        'ü' | 'Ü' => "ue",
        'ß' => "ss",
        'å' | 'Å' => "aa",
        'à' | 'á' | 'â' | 'ã' | 'À' | 'Á' | 'Â' | 'Ã' => "a",
        'è' | 'é' | 'ê' | 'ë' | 'È' | 'É' | 'Ê' | 'Ë' => "e",
        'ì' | 'í' | 'î' | 'ï' | 'Ì' | 'Í' | 'Î' | 'Ï' => "i",
        'ò' | 'ó' | 'ô' | 'õ' | 'Ò' | 'Ó' | 'Ô' | 'Õ' => "o",
        'ù' | 'ú' | 'û' | 'Ù' | 'Ú' | 'Û' => "u",
        'ç' | 'Ç' => "c",
        'ñ' | 'Ñ' => "n",
        _ => return None,
    })
}

/// A name for one row of the table: `customers` is `customer`, `order_items` is `order_item`.
pub(crate) fn singular(name: &str) -> String {
    of_last_word(name, |word| {
        if let Some((one, _)) = IRREGULAR.iter().find(|(one, many)| word == *many || word == *one) {
            return (*one).to_owned();
        }
        let cut = |ending: &str, put: &str| {
            word.strip_suffix(ending).filter(|stem| stem.len() > 1).map(|stem| format!("{stem}{put}"))
        };
        // Not plurals: `address`, `campus`, `axis`.
        if ["ss", "us", "is"].iter().any(|ending| word.ends_with(ending)) {
            return word.to_owned();
        }
        cut("ies", "y")
            .or_else(|| {
                ["sses", "shes", "ches", "xes", "zzes"]
                    .iter()
                    .find_map(|ending| cut(ending, &ending[..ending.len() - 2]))
            })
            .or_else(|| cut("s", ""))
            .unwrap_or_else(|| word.to_owned())
    })
}

/// A name for several rows: `customer` is `customers`; what is a plural already stays.
pub(crate) fn plural(name: &str) -> String {
    of_last_word(name, |word| {
        if let Some((_, many)) = IRREGULAR.iter().find(|(one, many)| word == *one || word == *many) {
            return (*many).to_owned();
        }
        if singular(word) != word {
            return word.to_owned();
        }
        let vowel_before = |ending: &str| {
            word.strip_suffix(ending).is_some_and(|stem| stem.ends_with(['a', 'e', 'i', 'o', 'u']))
        };
        match word {
            _ if word.ends_with('y') && !vowel_before("y") => format!("{}ies", &word[..word.len() - 1]),
            _ if ["s", "x", "z", "ch", "sh"].iter().any(|ending| word.ends_with(ending)) => {
                format!("{word}es")
            }
            _ => format!("{word}s"),
        }
    })
}

fn of_last_word(name: &str, change: impl Fn(&str) -> String) -> String {
    match name.rsplit_once('_') {
        Some((before, last)) => format!("{before}_{}", change(last)),
        None => change(name),
    }
}

/// `an order`, `a customer`.
pub(crate) fn with_article(noun: &str) -> String {
    let an = noun.starts_with(['a', 'e', 'i', 'o']) || noun.starts_with("un") && !noun.starts_with("uni");
    format!("{} {noun}", if an { "an" } else { "a" })
}

/// Names that are there already, so that each is given once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(BTreeSet<String>);

impl Taken {
    pub(crate) fn with(names: &[&str]) -> Taken {
        Taken(names.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The name, or with a number where it is taken; `otherwise` where there is none.
    pub(crate) fn give(&mut self, name: &str, otherwise: &str) -> String {
        let base = if name.is_empty() { otherwise } else { name };
        // Arguments may have 64 letters; a number has to fit, too.
        let base = &base[..base.len().min(56)];
        let mut name = base.to_owned();
        let mut number = 2;
        while !self.0.insert(name.clone()) {
            name = format!("{base}_{number}");
            number += 1;
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found() {
        let names = [
            "OrderItems",
            "order items",
            "ORDER_ITEMS",
            "HTTPRequest",
            "Größe (cm)",
            "日本",
            "2nd",
            "_id",
            "a--b",
        ];
        assert_eq!(
            names.map(snake),
            [
                "order_items",
                "order_items",
                "order_items",
                "http_request",
                "groesse_cm",
                "",
                "n2nd",
                "id",
                "a_b"
            ]
        );
    }

    #[test]
    fn one_and_many() {
        for (one, many) in [
            ("customer", "customers"),
            ("order_item", "order_items"),
            ("category", "categories"),
            ("address", "addresses"),
            ("box", "boxes"),
            ("branch", "branches"),
            ("case", "cases"),
            ("status", "statuses"),
            ("person", "people"),
            ("sales_person", "sales_people"),
            ("series", "series"),
            ("key", "keys"),
            ("house", "houses"),
            ("analysis", "analyses"),
        ] {
            assert_eq!((singular(many).as_str(), plural(one).as_str()), (one, many));
            assert_eq!((singular(one).as_str(), plural(many).as_str()), (one, many));
        }
    }

    #[test]
    fn each_name_is_given_once() {
        let mut taken = Taken::with(&["limit"]);
        assert_eq!(
            ["limit", "a", "a", "", ""].map(|name| taken.give(name, "column")),
            ["limit_2", "a", "a_2", "column", "column_2"]
        );
        assert_eq!(taken.give(&"x".repeat(80), "column").len(), 56);
    }
}
