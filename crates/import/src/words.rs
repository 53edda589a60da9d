//! Names as SQL.

use renkei_core::introspect::Grammar;

/// What at least one of the databases reserves, in lower case. A name that stands here needlessly gets quotation
/// marks that it could do without.
const RESERVED: &str = "
    accessible add all alter analyse analyze and any array as asc asensitive asymmetric authorization autoincrement
    before between bigint binary bit blob boolean both by call cascade case cast change char character check coalesce
    collate collation column commit concurrently condition constraint continue convert create cross cube cume_dist
    current_catalog current_date current_role current_schema current_time current_timestamp current_user cursor
    database databases day_hour day_microsecond day_minute day_second dec decimal declare default deferrable delayed
    delete dense_rank desc describe deterministic distinct distinctrow div do double drop dual each else elseif empty
    enclosed end escape escaped except exists exit explain extract false fetch first_value float float4 float8 for
    force foreign freeze from full fulltext function general generated get glob grant group grouping groups having
    high_priority hour_microsecond hour_minute hour_second if ignore ilike in index indexed infile initially inner
    inout insensitive insert int int1 int2 int3 int4 int8 integer intersect interval into is isnull iterate join
    json_table key keys kill lag last_value lateral lead leading leave left like limit linear lines load localtime
    localtimestamp lock long longblob longtext loop low_priority manual match maxvalue mediumblob mediumint mediumtext
    middleint minute_microsecond minute_second mod modifies natural none not nothing notnull nth_value ntile null
    nullif numeric of offset on only optimize optimizer_costs option optionally or order out outer outfile over
    overlaps parallel partition percent_rank placing pragma precision primary procedure purge qualify raise range rank
    read read_write reads real recursive references regexp release rename repeat replace require resignal restrict
    return returning revoke right rlike row row_number rownum rows savepoint schema schemas second_microsecond select
    sensitive separator session_user set setof show signal similar slow smallint some spatial specific sql
    sql_big_result sql_calc_found_rows sql_small_result sqlexception sqlstate sqlwarning ssl starting stored
    straight_join substring symmetric system system_user table tablesample terminated then time timestamp tinyblob
    tinyint tinytext to trailing transaction trigger trim true undo union unique unlock unsigned update usage use user
    using utc_date utc_time utc_timestamp values varbinary varchar varcharacter variadic varying verbose virtual when
    where while window with write xmltable xor year_month zerofill";

/// The name as it stands in a statement.
pub(crate) fn quoted(name: &str, grammar: &Grammar) -> String {
    if is_plain(name, grammar) {
        return name.to_owned();
    }
    let quote = grammar.quote;
    format!("{quote}{}{quote}", name.replace(quote, &format!("{quote}{quote}")))
}

fn is_plain(name: &str, grammar: &Grammar) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    let capital = |byte: u8| !grammar.folds_case && byte.is_ascii_uppercase();
    name.bytes().next().is_some_and(|byte| letter(byte) || capital(byte))
        && name.bytes().all(|byte| letter(byte) || capital(byte) || byte.is_ascii_digit())
        && !is_reserved(name)
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.split_ascii_whitespace().any(|word| word == name)
}

/// Whether a config can hold the name at all: databases read control characters in different ways, and `${` begins
/// a template.
pub(crate) fn can_be_written(name: &str) -> bool {
    !name.is_empty()
        && !name.contains("${")
        && !name.chars().any(|letter| letter.is_control() || letter == '\u{feff}')
}

#[cfg(test)]
mod tests {
    use renkei_core::introspect::Returning;

    use super::*;

    fn grammar(quote: char, folds_case: bool) -> Grammar {
        Grammar {
            name: "SQL",
            quote,
            folds_case,
            returning: Returning { insert: false, update: false },
            structures: false,
            contains: |column, value| format!("{column} {value}"),
            exact_order: |column, _| column.to_owned(),
        }
    }

    #[test]
    fn quotes_what_needs_it() {
        let postgres = grammar('"', true);
        let written = ["id", "placed_at", "Order", "order", "first name", "a\"b", "größe", "2nd", "_x"]
            .map(|name| quoted(name, &postgres));
        assert_eq!(
            written,
            [
                "id",
                "placed_at",
                "\"Order\"",
                "\"order\"",
                "\"first name\"",
                "\"a\"\"b\"",
                "\"größe\"",
                "\"2nd\"",
                "_x"
            ]
        );
        let mysql = grammar('`', false);
        assert_eq!(
            ["Customers", "Order", "a`b"].map(|name| quoted(name, &mysql)),
            ["Customers", "`Order`", "`a``b`"]
        );
    }

    #[test]
    fn what_a_config_cannot_hold() {
        assert!(can_be_written("größe ${"[..6].trim()));
        assert!(!can_be_written("a${b"));
        assert!(!can_be_written("a\nb"));
        assert!(!can_be_written(""));
    }
}
