/* A row as text for people and programs, and as octets to be kept. */
#include "alert/sink.h"
#include "base/cur.h"
#include "stix/stix.h"
#include "json/json.h"

struct alert_row
alert_row_of(const struct nr_hit *h)
{
    struct alert_row r = {
        .line = h->line,
        .file_line = h->file_line,
        .file = { (const uint8_t *)h->file, strlen(h->file) },
        .indicator = h->indicator,
        .observed = h->observed,
        .time_us = h->record->time_us,
        .action = h->record->action,
        .source = h->record->source,
        .count = 1,
        .first_line = h->line,
        .first_time_us = h->record->time_us,
    };

    memcpy(r.id, h->id, sizeof(r.id));
    return r;
}

/* --- octets --- */

static void
put_bytes(struct nr_buf *out, struct nr_bytes b)
{
    nr_buf_put_le(out, b.n, 4);
    nr_buf_put(out, b);
}

static void
put_time(struct nr_buf *out, int64_t t)
{
    nr_buf_put_le(out, (uint64_t)t, 8);
}

void
alert_row_encode(const struct alert_row *r, struct nr_buf *out)
{
    const struct nr_indicator *i = &r->indicator;
    const uint64_t numbers[] = { r->line, r->file_line, r->first_line,
        r->count };
    const int64_t times[] = { r->time_us, r->first_time_us, i->valid_from_s,
        i->valid_until_s, i->first_seen_s, i->last_seen_s, i->said.date_s };
    const unsigned marks[] = { (unsigned)i->kind, r->action, r->source, i->tlp,
        i->pap, i->role, r->rollup };
    const struct nr_bytes texts[] = { r->file, r->observed, i->key,
        nr_bytes_of(i->value), nr_bytes_of(i->said.id),
        nr_bytes_of(i->said.source), nr_bytes_of(i->said.reference),
        nr_bytes_of(i->warn) };

    for (size_t k = 0; k < sizeof(numbers) / sizeof(*numbers); k++)
        nr_buf_put_le(out, numbers[k], 8);
    for (size_t k = 0; k < sizeof(times) / sizeof(*times); k++)
        put_time(out, times[k]);
    for (size_t k = 0; k < sizeof(marks) / sizeof(*marks); k++)
        nr_buf_put_le(out, marks[k], 1);
    nr_buf_put_le(out, i->n_claims, 4);
    nr_buf_put(out, (struct nr_bytes){ r->id, sizeof(r->id) });
    for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
        put_bytes(out, texts[k]);
}

static struct nr_bytes
take_bytes(struct nr_cur *c)
{
    return nr_cur_take(c, nr_cur_le32(c));
}

static struct nr_str
take_str(struct nr_cur *c)
{
    struct nr_str s = { 0 };

    if (!nr_str_from_utf8(take_bytes(c), &s) && c->err == NR_OK)
        c->err = NR_EFORMAT;
    return s;
}

static unsigned
take_mark(struct nr_cur *c, unsigned below)
{
    unsigned v = nr_cur_u8(c);

    if (v >= below && c->err == NR_OK)
        c->err = NR_EFORMAT;
    return v < below ? v : 0;
}

enum nr_err
alert_row_decode(struct nr_bytes in, struct alert_row *out)
{
    struct nr_cur c = nr_cur(in);
    struct alert_row r = { 0 };
    struct nr_indicator *i = &r.indicator;
    uint64_t *numbers[] = { &r.line, &r.file_line, &r.first_line, &r.count };
    int64_t *times[] = { &r.time_us, &r.first_time_us, &i->valid_from_s,
        &i->valid_until_s, &i->first_seen_s, &i->last_seen_s, &i->said.date_s };
    struct nr_str *texts[] = { &i->value, &i->said.id, &i->said.source,
        &i->said.reference, &i->warn };
    struct nr_bytes id;
    unsigned kind;

    for (size_t k = 0; k < sizeof(numbers) / sizeof(*numbers); k++)
        *numbers[k] = nr_cur_le64(&c);
    for (size_t k = 0; k < sizeof(times) / sizeof(*times); k++)
        *times[k] = (int64_t)nr_cur_le64(&c);
    kind = take_mark(&c, NR_KINDS);
    i->kind = (enum nr_kind)kind;
    r.action = take_mark(&c, NR_ACTION_DENIED + 1);
    r.source = take_mark(&c, NR_SOURCES);
    i->tlp = (uint8_t)take_mark(&c, NR_TLP_RED + 1);
    i->pap = (uint8_t)take_mark(&c, NR_PAP_RED + 1);
    i->role = (uint8_t)take_mark(&c, UINT8_MAX + 1);
    r.rollup = take_mark(&c, 2) != 0;
    i->n_claims = nr_cur_le32(&c);
    id = nr_cur_take(&c, sizeof(r.id));
    if (id.n == sizeof(r.id))
        memcpy(r.id, id.p, sizeof(r.id));
    r.file = take_bytes(&c);
    r.observed = take_bytes(&c);
    i->key = take_bytes(&c);
    for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
        *texts[k] = take_str(&c);
    if (c.err == NR_OK &&
        (nr_cur_left(&c) > 0 || !nr_key_is_sound(i->kind, i->key)))
        c.err = NR_EFORMAT;
    if (c.err == NR_OK)
        *out = r;
    return c.err;
}

/* --- TSV --- */

void
alert_put_field(struct nr_buf *out, struct nr_bytes text)
{
    for (size_t i = 0; i < text.n; i++) {
        bool control = text.p[i] < 0x20 || text.p[i] == 0x7f;

        nr_buf_put_c(out, (char)(control ? (uint8_t)'?' : text.p[i]));
    }
}

static void
tsv_time(struct nr_buf *out, int64_t us, bool iso)
{
    char text[NR_RFC3339_MAX];

    if (us == NR_TIME_NONE)
        nr_buf_put_c(out, '-');
    else if (iso)
        nr_buf_put_str(out, nr_str_of(nr_time_print(us / NR_US_PER_S, text)));
    else
        nr_buf_printf(out, "%lld", (long long)(us / NR_US_PER_S));
}

void
alert_put_tsv(const struct alert_row *r, bool iso, bool counted,
    struct nr_buf *out)
{
    char id[NR_HIT_ID_TEXT];

    nr_buf_printf(out, "%llu\t%s\t", (unsigned long long)r->line,
        nr_kind_name(r->indicator.kind));
    alert_put_field(out, nr_bytes_of(r->indicator.value));
    nr_buf_put_c(out, '\t');
    alert_put_field(out, r->observed);
    nr_buf_printf(out, "\t%s\t", nr_action_name((enum nr_action)r->action));
    tsv_time(out, r->time_us, iso);
    nr_buf_printf(out, "\t%s\t", nr_source_name((enum nr_source)r->source));
    alert_put_field(out, r->file);
    nr_hit_id_print(r->id, id);
    nr_buf_printf(out, "\t%s", id);
    if (counted) {
        nr_buf_printf(out, "\t%llu\t%llu\t", (unsigned long long)r->count,
            (unsigned long long)r->first_line);
        tsv_time(out, r->first_time_us, iso);
    }
    nr_buf_put_c(out, '\n');
}

/* --- JSON --- */

static void
json_time(struct nr_json_out *o, struct nr_str name, int64_t us, bool iso)
{
    char text[NR_RFC3339_MAX];

    nr_json_key(o, name);
    if (us == NR_TIME_NONE)
        nr_json_put_null(o);
    else if (iso)
        nr_json_put_str(o, nr_str_of(nr_time_print(us / NR_US_PER_S, text)));
    else
        nr_json_put_i64(o, us / NR_US_PER_S);
}

static int64_t
us_of(int64_t s)
{
    return s == NR_TIME_NONE ? s : s * NR_US_PER_S;
}

static void
json_text(struct nr_json_out *o, struct nr_str name, struct nr_str text)
{
    if (text.n > 0)
        nr_json_member_str(o, name, text);
}

/* What the list says of the indicator. */
static void
json_indicator(struct nr_json_out *o, const struct alert_row *r, bool iso)
{
    const struct nr_indicator *i = &r->indicator;
    enum nr_validity valid = nr_indicator_valid_at(i, r->time_us);

    json_text(o, NR_STR("id"), i->said.id);
    json_text(o, NR_STR("warninglist"), i->warn);
    json_time(o, NR_STR("valid_from"), us_of(i->valid_from_s), iso);
    json_time(o, NR_STR("valid_until"), us_of(i->valid_until_s), iso);
    nr_json_key(o, NR_STR("valid"));
    if (valid == NR_VALID_UNKNOWN)
        nr_json_put_null(o);
    else
        nr_json_put_bool(o, valid == NR_VALID_YES);
    if (i->tlp != NR_TLP_NONE)
        json_text(o, NR_STR("tlp"), nr_str_of(nr_tlp_name(i->tlp)));
    if (i->pap != NR_PAP_NONE)
        json_text(o, NR_STR("pap"), nr_str_of(nr_pap_name(i->pap)));
    if (i->role != NR_ROLE_UNKNOWN)
        json_text(o, NR_STR("role"), nr_str_of(nr_role_name(i->role)));
    json_text(o, NR_STR("said_by"), i->said.source);
    json_text(o, NR_STR("reference"), i->said.reference);
    if (i->n_claims > 1)
        nr_json_member_i64(o, NR_STR("claims"), (int64_t)i->n_claims);
}

void
alert_put_json(const struct alert_row *r, bool iso, struct nr_buf *out)
{
    struct nr_json_out o;
    char id[NR_HIT_ID_TEXT];

    nr_hit_id_print(r->id, id);
    nr_json_out_init(&o, out);
    nr_json_open_object(&o);
    nr_json_member_i64(&o, NR_STR("line"), (int64_t)r->line);
    nr_json_member_str(&o, NR_STR("kind"),
        nr_str_of(nr_kind_name(r->indicator.kind)));
    nr_json_member_str(&o, NR_STR("indicator"), r->indicator.value);
    nr_json_key(&o, NR_STR("observed"));
    nr_json_put_bytes(&o, r->observed);
    nr_json_member_str(&o, NR_STR("disposition"),
        nr_str_of(nr_action_name((enum nr_action)r->action)));
    json_time(&o, NR_STR("time"), r->time_us, iso);
    nr_json_member_str(&o, NR_STR("source"),
        nr_str_of(nr_source_name((enum nr_source)r->source)));
    nr_json_key(&o, NR_STR("file"));
    nr_json_put_bytes(&o, r->file);
    nr_json_member_i64(&o, NR_STR("file_line"), (int64_t)r->file_line);
    nr_json_member_str(&o, NR_STR("hit"), nr_str_of(id));
    json_indicator(&o, r, iso);
    if (r->rollup) {
        nr_json_member_bool(&o, NR_STR("rollup"), true);
        nr_json_member_i64(&o, NR_STR("count"), (int64_t)r->count);
        nr_json_member_i64(&o, NR_STR("first_line"), (int64_t)r->first_line);
        json_time(&o, NR_STR("first_time"), r->first_time_us, iso);
    }
    nr_json_close_object(&o);
    if (nr_json_out_end(&o) != NR_OK && out->err == NR_OK)
        out->err = NR_ENOMEM;
    nr_buf_put_c(out, '\n');
}
