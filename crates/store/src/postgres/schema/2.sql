-- Where looks for jobs of a queue begin, so that they do not pass what a transaction elsewhere keeps of dead rows: no ready job
-- has a smaller place, or a priority outside of these; nothing for a queue that has none ready.
alter table counts
    add column low bigint default -9223372036854775808,
    add column top smallint default 32767,
    add column bottom smallint default -32768,
    -- No lease ends, no job is due, and none has waited too long before this; nothing where no job has such a time.
    add column due bigint default -9223372036854775808;
-- What was there before is unknown. From now on each row says it.
alter table counts
    alter column low drop default,
    alter column top drop default,
    alter column bottom drop default,
    alter column due drop default;
