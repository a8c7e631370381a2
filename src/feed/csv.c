/*
 * Separated text (RFC 4180; ',', ';', TAB or '|') with whatever header.
 *
 * Columns are known by their names in English or Japanese, and where there is
 * no such header by what stands in them.
 */
#include "feed/take.h"

#include <stdio.h>
#include <stdlib.h>

#define SAMPLE_RECORDS ((size_t)40) /* looked at to know the columns */
#define HEADS_MAX      ((size_t)32) /* columns that can carry a meaning */

/* --- records ------------------------------------------------------------- */

void
nr_csv_init(struct nr_csv *c, struct nr_bytes in, char delimiter)
{
    *c = (struct nr_csv){ .in = in, .line = 1, .delimiter = delimiter };
    nr_buf_init(&c->buf, NR_FEED_FIELD_MAX);
}

void
nr_csv_fini(struct nr_csv *c)
{
    nr_buf_fini(&c->buf);
    free(c->fields);
    free(c->ends);
}

static enum nr_err
end_field(struct nr_csv *c)
{
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        size_t *ends;
        struct nr_bytes *fields;

        if (cap > NR_FEED_COLUMNS_MAX)
            return NR_ELIMIT;
        ends = reallocarray(c->ends, cap, sizeof(*ends));
        if (!ends)
            return NR_ENOMEM;
        c->ends = ends;
        fields = reallocarray(c->fields, cap, sizeof(*fields));
        if (!fields)
            return NR_ENOMEM;
        c->fields = fields;
        c->cap = cap;
    }
    c->ends[c->n++] = c->buf.n;
    return NR_OK;
}

/* A quoted field from its opening quote on; "" is a quote. */
static void
quoted(struct nr_csv *c)
{
    for (c->at++; c->at < c->in.n; c->at++) {
        uint8_t o = c->in.p[c->at];

        if (o == '"') {
            if (c->at + 1 >= c->in.n || c->in.p[c->at + 1] != '"')
                break;
            c->at++;
        }
        c->line += o == '\n';
        nr_buf_put_c(&c->buf, (char)o);
    }
    c->at += c->at < c->in.n;
}

/* Blanks before an opening quote are not part of the field. */
static bool
at_quote(struct nr_csv *c, size_t start)
{
    size_t i = c->at;

    if (c->buf.n != start)
        return false;
    while (i < c->in.n && c->in.p[i] == ' ')
        i++;
    if (i == c->in.n || c->in.p[i] != '"')
        return false;
    c->at = i;
    return true;
}

static bool
is_comment(const struct nr_csv *c)
{
    return c->at < c->in.n &&
        (c->in.p[c->at] == '#' || c->in.p[c->at] == '\n' ||
            c->in.p[c->at] == '\r');
}

static void
skip_line(struct nr_csv *c)
{
    while (c->at < c->in.n && c->in.p[c->at] != '\n')
        c->at++;
    c->at += c->at < c->in.n;
    c->line++;
}

enum nr_err
nr_csv_next(struct nr_csv *c, bool *more)
{
    enum nr_err err = NR_OK;
    bool ended = false;
    size_t start = 0;

    while (is_comment(c))
        skip_line(c);
    nr_buf_reset(&c->buf);
    c->n = 0;
    *more = c->at < c->in.n;
    c->record_at = c->at;
    c->record_line = c->line;
    if (!*more)
        return NR_OK;
    while (!ended && !err) {
        uint8_t o = c->at < c->in.n ? c->in.p[c->at] : '\n';

        if (o == '\n' || o == (uint8_t)c->delimiter) {
            err = end_field(c);
            start = c->buf.n;
            ended = o == '\n';
            c->line += ended;
            c->at += c->at < c->in.n;
        } else if (o == '\r' &&
            (c->at + 1 == c->in.n || c->in.p[c->at + 1] == '\n')) {
            c->at++;
        } else if (at_quote(c, start)) {
            quoted(c);
        } else {
            nr_buf_put_c(&c->buf, (char)o);
            c->at++;
        }
    }
    if (err || c->buf.err)
        return err ? err : c->buf.err;
    for (size_t i = 0, from = 0; i < c->n; from = c->ends[i++])
        c->fields[i] = nr_bytes_sub(nr_buf_bytes(&c->buf), from, c->ends[i]);
    return NR_OK;
}

/* --- columns ------------------------------------------------------------- */

enum head {
    HEAD_NONE,
    HEAD_VALUE,
    HEAD_TYPE,
    HEAD_REFERENCE,
    HEAD_SOURCE,
    HEAD_ACTOR,
    HEAD_FIRST,
    HEAD_LAST,
    HEAD_DATE,
    HEAD_TLP,
    HEAD_PAP,
    HEAD_ROLE,
};

struct column {
    enum head head;
    const char *type; /* of a value column; "" = as the type column says */
};

static const struct {
    const char *name; /* folded as nr_feed_fold() does */
    struct column is;
} heads[] = {
    { "value", { HEAD_VALUE, "" } },
    { "indicator", { HEAD_VALUE, "" } },
    { "indicatorvalue", { HEAD_VALUE, "" } },
    { "ioc", { HEAD_VALUE, "" } },
    { "iocvalue", { HEAD_VALUE, "" } },
    { "observable", { HEAD_VALUE, "" } },
    { "artifact", { HEAD_VALUE, "" } },
    { "c2", { HEAD_VALUE, "" } },
    { "c2server", { HEAD_VALUE, "" } },
    { "値", { HEAD_VALUE, "" } },
    { "指標", { HEAD_VALUE, "" } },
    { "インジケータ", { HEAD_VALUE, "" } },
    { "インジケーター", { HEAD_VALUE, "" } },
    { "ip", { HEAD_VALUE, "ip" } },
    { "ipaddress", { HEAD_VALUE, "ip" } },
    { "ipaddr", { HEAD_VALUE, "ip" } },
    { "ipv4", { HEAD_VALUE, "ip" } },
    { "ipv6", { HEAD_VALUE, "ip" } },
    { "dstip", { HEAD_VALUE, "ip" } },
    { "address", { HEAD_VALUE, "" } },
    { "ipアドレス", { HEAD_VALUE, "ip" } },
    { "domain", { HEAD_VALUE, "domain" } },
    { "domainname", { HEAD_VALUE, "domain" } },
    { "host", { HEAD_VALUE, "" } },
    { "hostname", { HEAD_VALUE, "domain" } },
    { "fqdn", { HEAD_VALUE, "domain" } },
    { "ドメイン", { HEAD_VALUE, "domain" } },
    { "ドメイン名", { HEAD_VALUE, "domain" } },
    { "ホスト名", { HEAD_VALUE, "domain" } },
    { "url", { HEAD_VALUE, "url" } },
    { "phishingurl", { HEAD_VALUE, "url" } },
    { "ｕｒｌ", { HEAD_VALUE, "url" } },
    { "email", { HEAD_VALUE, "email" } },
    { "emailaddress", { HEAD_VALUE, "email" } },
    { "sender", { HEAD_VALUE, "email" } },
    { "メールアドレス", { HEAD_VALUE, "email" } },
    { "送信元", { HEAD_VALUE, "" } },
    { "hash", { HEAD_VALUE, "" } },
    { "filehash", { HEAD_VALUE, "" } },
    { "ハッシュ", { HEAD_VALUE, "" } },
    { "ハッシュ値", { HEAD_VALUE, "" } },
    { "md5", { HEAD_VALUE, "md5" } },
    { "sha1", { HEAD_VALUE, "sha1" } },
    { "sha256", { HEAD_VALUE, "sha256" } },
    { "sha512", { HEAD_VALUE, "sha512" } },
    { "md5hash", { HEAD_VALUE, "md5" } },
    { "sha1hash", { HEAD_VALUE, "sha1" } },
    { "sha256hash", { HEAD_VALUE, "sha256" } },
    { "kind", { HEAD_TYPE, NULL } },
    { "type", { HEAD_TYPE, NULL } },
    { "entitytype", { HEAD_TYPE, NULL } },
    { "indicatortype", { HEAD_TYPE, NULL } },
    { "ioctype", { HEAD_TYPE, NULL } },
    { "種別", { HEAD_TYPE, NULL } },
    { "種類", { HEAD_TYPE, NULL } },
    { "reference", { HEAD_REFERENCE, NULL } },
    { "references", { HEAD_REFERENCE, NULL } },
    { "ref", { HEAD_REFERENCE, NULL } },
    { "link", { HEAD_REFERENCE, NULL } },
    { "report", { HEAD_REFERENCE, NULL } },
    { "参照", { HEAD_REFERENCE, NULL } },
    { "参照先", { HEAD_REFERENCE, NULL } },
    { "source", { HEAD_SOURCE, NULL } },
    { "provider", { HEAD_SOURCE, NULL } },
    { "feed", { HEAD_SOURCE, NULL } },
    { "reporter", { HEAD_SOURCE, NULL } },
    { "情報源", { HEAD_SOURCE, NULL } },
    { "提供元", { HEAD_SOURCE, NULL } },
    { "actor", { HEAD_ACTOR, NULL } },
    { "threatactor", { HEAD_ACTOR, NULL } },
    { "campaign", { HEAD_ACTOR, NULL } },
    { "firstseen", { HEAD_FIRST, NULL } },
    { "firstseenutc", { HEAD_FIRST, NULL } },
    { "初回観測", { HEAD_FIRST, NULL } },
    { "初回観測日時", { HEAD_FIRST, NULL } },
    { "lastseen", { HEAD_LAST, NULL } },
    { "lastseenutc", { HEAD_LAST, NULL } },
    { "最終観測", { HEAD_LAST, NULL } },
    { "最終観測日時", { HEAD_LAST, NULL } },
    { "date", { HEAD_DATE, NULL } },
    { "dateadded", { HEAD_DATE, NULL } },
    { "published", { HEAD_DATE, NULL } },
    { "created", { HEAD_DATE, NULL } },
    { "日付", { HEAD_DATE, NULL } },
    { "日時", { HEAD_DATE, NULL } },
    { "確認日時", { HEAD_DATE, NULL } },
    { "公表日", { HEAD_DATE, NULL } },
    { "tlp", { HEAD_TLP, NULL } },
    { "pap", { HEAD_PAP, NULL } },
    { "role", { HEAD_ROLE, NULL } },
    { "役割", { HEAD_ROLE, NULL } },
};

static struct column
column_named(struct nr_bytes field)
{
    char buf[64];
    struct nr_str s = nr_feed_fold(field, buf, sizeof(buf));

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (nr_str_eq(s, nr_str_of(heads[i].name)))
            return heads[i].is;
    return (struct column){ HEAD_NONE, NULL };
}

struct layout {
    struct column col[HEADS_MAX];
    size_t n;
    bool header; /* the first record is one */
    bool values; /* there is a column of values */
};

/* A first record without any value in it, and with a known name. */
static bool
by_header(struct nr_feed *f, const struct nr_csv *c, struct layout *l)
{
    bool known = false, value = false;
    enum nr_kind kind;

    l->n = c->n < HEADS_MAX ? c->n : HEADS_MAX;
    for (size_t i = 0; i < l->n; i++) {
        l->col[i] = column_named(c->fields[i]);
        known |= l->col[i].head != HEAD_NONE;
        l->values |= l->col[i].head == HEAD_VALUE;
        value |= nr_feed_is_value(f, c->fields[i], &kind);
    }
    l->header = known && !value;
    return l->header;
}

/* How many sampled records each column shows a value or a type in. */
static enum nr_err
by_content(struct nr_feed *f, struct nr_csv *c, struct layout *l)
{
    size_t shown[HEADS_MAX] = { 0 }, typed[HEADS_MAX] = { 0 }, records = 0;
    size_t best = HEADS_MAX, type = HEADS_MAX;
    bool more = true;
    enum nr_err err = NR_OK;

    while (records < SAMPLE_RECORDS) {
        err = nr_csv_next(c, &more);
        if (err || !more)
            break;
        records++;
        for (size_t i = 0; i < c->n && i < HEADS_MAX; i++) {
            enum nr_kind kind;
            struct nr_str s;

            shown[i] += nr_feed_is_value(f, c->fields[i], &kind);
            typed[i] += nr_str_from_utf8(c->fields[i], &s) && s.n &&
                nr_feed_type(s)->sort != NR_FEED_SORT_UNKNOWN;
        }
    }
    for (size_t i = HEADS_MAX; i > 0; i--) {
        if (shown[i - 1] * 2 >= records && shown[i - 1] &&
            (best == HEADS_MAX || shown[i - 1] * 10 >= shown[best] * 8) &&
            l->col[i - 1].head == HEAD_NONE)
            best = i - 1;
        if (records && typed[i - 1] == records)
            type = i - 1;
    }
    if (best == HEADS_MAX)
        return err;
    if (best >= l->n)
        l->n = best + 1;
    l->col[best] = (struct column){ HEAD_VALUE, "" };
    l->values = true;
    if (type < best && !l->header)
        l->col[type].head = HEAD_TYPE;
    return err;
}

static enum nr_err
learn(struct nr_feed *f, struct nr_bytes in, char delimiter, struct layout *l)
{
    struct nr_csv c;
    bool more;
    enum nr_err err;

    *l = (struct layout){ .n = 0 };
    nr_csv_init(&c, in, delimiter);
    err = nr_csv_next(&c, &more);
    if (!err && more && !by_header(f, &c, l)) {
        *l = (struct layout){ .n = 0 };
        c.at = 0;
    }
    if (!err && more && !l->values)
        err = by_content(f, &c, l);
    nr_csv_fini(&c);
    return err;
}

/* --- values -------------------------------------------------------------- */

static struct nr_str
text_of(struct nr_bytes field)
{
    struct nr_str s;

    return nr_str_from_utf8(field, &s) ? nr_str_trim(s)
                                       : (struct nr_str){ "", 0 };
}

static void
mark(struct nr_indicator *i, const char *scheme, struct nr_str word)
{
    char tag[40];

    if (!word.n || word.n > 20)
        return;
    if (memchr(word.p, ':', word.n)) {
        nr_feed_mark(i, word);
        return;
    }
    (void)snprintf(tag, sizeof(tag), "%s:%.*s", scheme, NR_FMT(word));
    nr_feed_mark(i, nr_str_of(tag));
}

/* What the columns beside the value say. ACTOR names go with the source. */
static void
read_about(const struct layout *l, const struct nr_csv *c,
    struct nr_feed_value *v, struct nr_buf *source)
{
    struct nr_str actor = { "", 0 }, from = { "", 0 };

    for (size_t i = 0; i < l->n && i < c->n; i++) {
        struct nr_str s = text_of(c->fields[i]);
        enum nr_role role;

        switch (l->col[i].head) {
        case HEAD_TYPE:
            v->type = s;
            break;
        case HEAD_REFERENCE:
            v->about.said.reference = s;
            break;
        case HEAD_SOURCE:
            from = s;
            break;
        case HEAD_ACTOR:
            actor = s;
            break;
        case HEAD_FIRST:
            v->about.first_seen_s = nr_feed_date(s);
            break;
        case HEAD_LAST:
            v->about.last_seen_s = nr_feed_date(s);
            break;
        case HEAD_DATE:
            v->about.said.date_s = nr_feed_date(s);
            break;
        case HEAD_TLP:
            mark(&v->about, "tlp", s);
            break;
        case HEAD_PAP:
            mark(&v->about, "pap", s);
            break;
        case HEAD_ROLE:
            if (nr_role_from_name(s, &role))
                v->about.role = (uint8_t)role;
            break;
        case HEAD_NONE:
        case HEAD_VALUE:
            break;
        }
    }
    nr_buf_reset(source);
    nr_buf_put_str(source, from);
    if (from.n && actor.n)
        nr_buf_put_str(source, NR_STR(": "));
    nr_buf_put_str(source, actor);
    v->about.said.source = text_of(nr_buf_bytes(source));
    if (v->about.said.date_s == NR_TIME_NONE)
        v->about.said.date_s = v->about.first_seen_s;
}

static enum nr_err
take_record(struct nr_feed *f, const struct layout *l, const struct nr_csv *c,
    struct nr_buf *source, struct nr_diag *d)
{
    struct nr_feed_value about = nr_feed_value_of((struct nr_bytes){ 0 },
        c->record_line, c->record_at);
    enum nr_err err = NR_OK;
    bool any = false;

    read_about(l, c, &about, source);
    for (size_t i = 0; i < l->n && i < c->n && !err; i++) {
        struct nr_feed_value v = about;
        struct nr_str s;

        if (l->col[i].head != HEAD_VALUE)
            continue;
        s = text_of(c->fields[i]);
        if (!s.n && !c->fields[i].n)
            continue; /* an empty cell is no value */
        any = true;
        v.text = s.n ? nr_bytes_of(s) : c->fields[i];
        if (*l->col[i].type)
            v.type = nr_str_of(l->col[i].type);
        err = nr_feed_take(f, &v, d);
    }
    if (!err && !any && c->n) {
        about.text = c->fields[0];
        f->stats.values++;
        err = nr_feed_note(f, NR_FEED_REFUSED, "csv: no value in this record",
            &about);
    }
    return err;
}

enum nr_err
nr_feed_csv(struct nr_feed *f, struct nr_bytes in, struct nr_diag *d)
{
    char delimiter = ',';
    struct nr_buf source;
    struct layout l;
    struct nr_csv c;
    bool more = true;
    enum nr_err err;

    (void)nr_csv_recognise(in, &delimiter);
    nr_csv_init(&c, in, delimiter);
    nr_buf_init(&source, NR_FEED_FIELD_MAX);
    err = learn(f, in, delimiter, &l);
    if (!err && !l.values) {
        err = nr_fail(d, NR_EFORMAT, 0,
            "csv: no column of indicators (neither a known heading nor values "
            "of a known form)");
        goto out;
    }
    if (!err && l.header)
        err = nr_csv_next(&c, &more);
    while (!err) {
        err = nr_csv_next(&c, &more);
        if (err || !more)
            break;
        err = take_record(f, &l, &c, &source, d);
    }
    if (err)
        (void)nr_fail(d, err, c.record_at,
            err == NR_ELIMIT ? "csv: record longer than 1 MiB or 256 columns"
                             : "csv: out of memory");
out:
    nr_buf_fini(&source);
    nr_csv_fini(&c);
    return err;
}

/* --- recognising --------------------------------------------------------- */

/* A known heading in the first record, or the same number of columns, more
 * than one, in the first lines without blanks around words of prose. */
static bool
fits(struct nr_bytes in, char delimiter, size_t *columns)
{
    struct nr_csv c;
    size_t records = 0;
    bool more, ok = true, header = false, values = false;

    nr_csv_init(&c, in, delimiter);
    *columns = 0;
    while (ok && records < 10 && nr_csv_next(&c, &more) == NR_OK && more) {
        if (!records++) {
            *columns = c.n;
            for (size_t i = 0; i < c.n; i++) {
                enum head h = column_named(c.fields[i]).head;

                header |= h != HEAD_NONE;
                values |= h == HEAD_VALUE;
            }
        }
        ok = c.n > 1 && (c.n == *columns || header);
    }
    nr_csv_fini(&c);
    if (header && *columns == 1)
        return values && delimiter == ','; /* one column with a heading */
    return ok && records && (header || (records > 1 && *columns > 1));
}

bool
nr_csv_recognise(struct nr_bytes in, char *delimiter)
{
    static const char all[] = { ',', ';', '\t', '|' };
    size_t best = 0;

    for (size_t i = 0; i < sizeof(all); i++) {
        size_t columns;

        if (!fits(in, all[i], &columns) || columns <= best)
            continue;
        best = columns;
        *delimiter = all[i];
    }
    return best > 0;
}
