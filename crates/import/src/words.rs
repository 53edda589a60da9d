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
    delete delete_domain_id dense_rank desc describe deterministic distinct distinctrow div do do_domain_ids double
    drop dual each else elseif empty enclosed end escape escaped except exists exit explain extract false fetch
    first_value float float4 float8 for force foreign freeze from full fulltext function general generated get glob
    grant group grouping groups having high_priority hour_microsecond hour_minute hour_second if ignore
    ignore_domain_ids ilike in index indexed infile initially inner inout insensitive insert int int1 int2 int3 int4
    int8 integer intersect interval into is isnull iterate join json_table key keys kill lag last_value lateral lead
    leading leave left like limit linear lines load localtime localtimestamp lock long longblob longtext loop
    low_priority manual master_demote_to_replica master_demote_to_slave master_ssl_verify_server_cert match maxvalue
    mediumblob mediumint mediumtext middleint minute_microsecond minute_second mod modifies natural
    no_write_to_binlog none not nothing notnull nth_value ntile null nullif numeric of offset on only optimize
    optimizer_costs option optionally or order out outer outfile over overlaps page_checksum parallel parse_vcol_expr
    partition percent_rank placing portion pragma precision primary procedure purge qualify raise range rank read
    read_write reads real recursive ref_system_id references regexp release rename repeat replace require resignal
    restrict return returning revoke right rlike row row_number rownum rows savepoint schema schemas
    second_microsecond select sensitive separator session_user set setof show signal similar slow smallint some
    spatial specific sql sql_big_result sql_buffer_result sql_cache sql_calc_found_rows sql_no_cache sql_small_result
    sqlexception sqlstate sqlwarning ssl starting stats_auto_recalc stats_persistent stats_sample_pages stored
    straight_join substring symmetric system system_user table tablesample terminated then time timestamp tinyblob
    tinyint tinytext to trailing transaction trigger trim true undo union unique unlock unsigned update usage use
    user using utc_date utc_time utc_timestamp value values varbinary varchar varcharacter variadic varying verbose
    virtual when where while window with write xmltable xor year_month zerofill";

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
    use renkei_testkit::{mariadb::MariaDb, postgres::Server};

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

    /// Every word that a server says is a keyword of its language can name a table and a column.
    #[test]
    fn keywords_can_be_names() {
        let statements = |word: &str, grammar: &Grammar, make: &str| {
            let (raw, name) = (format!("{0}{word}{0}", grammar.quote), quoted(word, grammar));
            format!(
                "create temporary table {raw} ({raw} int, z int) {make};
                 select {name} from {name} where {name} = 1 and {name}.{name} > 2 order by {name}, z limit 1;
                 insert into {name} ({name}, z) values (1, 2);
                 update {name} set {name} = 2, z = 3 where {name} = 1;
                 delete from {name} where {name} = 1;
                 drop table {raw};\n"
            )
        };
        let postgres = Server::shared();
        let words = postgres.run("postgres", "select word from pg_get_keywords()");
        let grammar_of = grammar('"', true);
        let all: String = words.lines().map(|word| statements(word, &grammar_of, "")).collect();
        assert!(words.lines().count() > 400);
        postgres.run("postgres", &all);

        let mariadb = MariaDb::start();
        let words = mariadb
            .admin("select lower(word) from information_schema.keywords where word regexp '^[a-z_]+$'");
        let grammar_of = grammar('`', false);
        let all: String = words.lines().map(|word| statements(word, &grammar_of, "engine=memory")).collect();
        assert!(words.lines().count() > 400);
        mariadb.admin(&all);
    }

    #[test]
    fn what_a_config_cannot_hold() {
        assert!(can_be_written("größe ${"[..6].trim()));
        assert!(!can_be_written("a${b"));
        assert!(!can_be_written("a\nb"));
        assert!(!can_be_written(""));
    }
}
