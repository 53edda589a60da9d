//! Rows for people: columns as wide as what is in them.

/// The rows below their heads, two spaces apart; nothing for no rows.
pub(crate) fn table(heads: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([heads[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: &[String]| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        padded.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    let heads: Vec<String> = heads.iter().map(|head| (*head).to_owned()).collect();
    [line(&heads)].into_iter().chain(rows.iter().map(|row| line(row))).collect::<Vec<_>>().join("\n")
}

/// A text on one line, at most so many letters.
pub(crate) fn shortened(text: &str, letters: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.chars().count() > letters {
        true => line.chars().take(letters.saturating_sub(1)).chain(['…']).collect(),
        false => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let rows = [vec!["山川".to_owned(), "1".to_owned()], vec!["a longer one".to_owned(), String::new()]];
        assert_eq!(table(&["NAME", "N"], &rows), "NAME          N\n山川            1\na longer one");
        assert_eq!(shortened("a\n  b c", 4), "a b…");
    }
}
