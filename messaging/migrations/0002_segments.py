"""The SQL rendering of ``messaging.segments.count(text).segments``."""

from django.db import migrations

# The alphabet is written by code point, so that no tool that touches this file can change it. In a
# character class: GSM-7's basic table, then its extension table.
BASIC = (
    r"\n\r -Z_a-z\u00a1\u00a3-\u00a5\u00a7\u00bf\u00c4-\u00c7\u00c9\u00d1\u00d6\u00d8\u00dc\u00df"
    r"\u00e0\u00e4-\u00e6\u00e8\u00e9\u00ec\u00f1\u00f2\u00f6\u00f8\u00f9\u00fc"
    r"\u0393\u0394\u0398\u039b\u039e\u03a0\u03a3\u03a6\u03a8\u03a9"
)
EXTENSION = r"\f[\\\]^{|}~\u20ac"
ASTRAL = r"\U00010000-\U0010ffff"

CREATE = rf"""
create function message_segments(body text) returns smallint
language plpgsql immutable strict parallel safe as $$
declare
    single integer := 160;
    part integer := 153;
    pair text := '[{EXTENSION}]';
    units integer;
    shape text;
    position integer := 1;
    parts smallint := 0;
begin
    if body = '' then
        return 0;
    end if;
    if body !~ '^[{BASIC}{EXTENSION}]*$' then
        single := 70;
        part := 67;
        pair := '[{ASTRAL}]';
    end if;
    -- No character takes more than two units: most texts are done here.
    if 2 * char_length(body) <= single then
        return 1;
    end if;
    units := char_length(body);
    if body ~ pair then
        units := 2 * units - char_length(regexp_replace(body, pair, '', 'g'));
    end if;
    if units <= single then
        return 1;
    end if;
    -- Tearing no character wastes at most one unit in each part but the last.
    parts := (units + part - 1) / part;
    if units = char_length(body) or units + parts - 1 <= parts * part then
        return parts;
    end if;
    -- One letter for each unit; a character of two units begins with "b".
    shape := regexp_replace(body, '[^' || substr(pair, 2), 'a', 'g');
    shape := regexp_replace(shape, '[^a]', 'bc', 'g');
    parts := 0;
    while position <= units loop
        parts := parts + 1;
        position := position + part;
        -- It is never torn apart: it moves to the next part.
        if substr(shape, position - 1, 2) = 'bc' then
            position := position - 1;
        end if;
    end loop;
    return parts;
end
$$
"""


class Migration(migrations.Migration):
    dependencies = [("messaging", "0001_initial")]

    operations = [migrations.RunSQL(CREATE, "drop function message_segments(text)")]
