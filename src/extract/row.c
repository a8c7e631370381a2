#include "extract/row.h"

#include "base/num.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define FILE_MAX  ((size_t)1 << 13) /* octets of a file's name, printed */
#define VALUE_MAX (2 * NR_KEY_MAX)  /* octets of a value, disarmed */
#define JSON_MAX  ((size_t)1 << 24) /* octets of a row, with its line */
/* What a row takes beside its context and warninglist, at most: the buffer is
 * emptied while less than that is free. */
#define FIXED_MAX (FILE_MAX + VALUE_MAX + 256)
#define BUFFER    (NR_EXTRACT_WRITE + FIXED_MAX)

static const char pairs[] = "00010203040506070809"
                            "10111213141516171819"
                            "20212223242526272829"
                            "30313233343536373839"
                            "40414243444546474849"
                            "50515253545556575859"
                            "60616263646566676869"
                            "70717273747576777879"
                            "80818283848586878889"
                            "90919293949596979899";

/* V in decimal at P; the end of it. At most 20 octets. */
static uint8_t *
put_u64(uint8_t *p, uint64_t v)
{
    uint8_t text[20];
    size_t at = sizeof(text);

    while (v >= 100) {
        at -= 2;
        memcpy(text + at, pairs + 2 * (v % 100), 2);
        v /= 100;
    }
    if (v >= 10) {
        at -= 2;
        memcpy(text + at, pairs + 2 * v, 2);
    } else {
        text[--at] = (uint8_t)('0' + v);
    }
    memcpy(p, text + at, sizeof(text) - at);
    return p + (sizeof(text) - at);
}

static uint8_t *
put_octet(uint8_t *p, unsigned v)
{
    if (v >= 100) {
        *p++ = (uint8_t)('0' + v / 100);
        v %= 100;
        memcpy(p, pairs + (size_t)2 * v, 2);
        return p + 2;
    }
    if (v >= 10) {
        memcpy(p, pairs + (size_t)2 * v, 2);
        return p + 2;
    }
    *p = (uint8_t)('0' + v);
    return p + 1;
}

static uint8_t *
put_bytes(uint8_t *p, struct nr_bytes b)
{
    if (b.n > 0)
        memcpy(p, b.p, b.n);
    return p + b.n;
}

static uint8_t *
put_hex(uint8_t *p, struct nr_bytes b)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < b.n; i++) {
        *p++ = (uint8_t)digits[b.p[i] >> 4];
        *p++ = (uint8_t)digits[b.p[i] & 15];
    }
    return p;
}

enum nr_err
nr_row_init(struct nr_row *r, const struct nr_extract_options *o,
    struct nr_extract_sink sink)
{
    *r = (struct nr_row){ .o = o, .sink = sink, .line = UINT64_MAX };
    nr_buf_init(&r->file, FILE_MAX);
    nr_buf_init(&r->text, JSON_MAX);
    for (unsigned k = 0; k < NR_KINDS; k++) {
        const char *name = nr_kind_name((enum nr_kind)k);
        size_t n = nr_min(strlen(name), sizeof(r->kinds[k].text) - 1);

        memcpy(r->kinds[k].text, name, n);
        r->kinds[k].text[n] = '\t';
        r->kinds[k].n = n + 1;
    }
    r->p = malloc(BUFFER);
    return r->p ? NR_OK : NR_ENOMEM;
}

void
nr_row_fini(struct nr_row *r)
{
    nr_buf_fini(&r->file);
    nr_buf_fini(&r->text);
    free(r->p);
    r->p = NULL;
}

enum nr_err
nr_row_flush(struct nr_row *r, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    if (r->n > 0)
        err = r->sink.write(r->sink.ctx, (struct nr_bytes){ r->p, r->n }, d);
    r->n = 0;
    return err;
}

/* Keep FIXED_MAX octets free. */
static enum nr_err
make_room(struct nr_row *r, struct nr_diag *d)
{
    return r->n > BUFFER - FIXED_MAX ? nr_row_flush(r, d) : NR_OK;
}

static bool
is_control(uint8_t c)
{
    return c < 0x20 || c == 0x7f;
}

enum nr_err
nr_row_file(struct nr_row *r, struct nr_bytes name, struct nr_diag *d)
{
    nr_buf_reset(&r->file);
    if (r->o->json) {
        nr_buf_put(&r->file, name);
    } else {
        nr_buf_put_c(&r->file, '\t');
        for (size_t i = 0; i < name.n; i++)
            nr_buf_put_c(&r->file,
                is_control(name.p[i]) ? '?' : (char)name.p[i]);
        nr_buf_put_c(&r->file, '\t');
    }
    return r->file.err ? nr_fail(d, r->file.err, 0, "extract: name of a file")
                       : NR_OK;
}

/* Octets of any length into the buffer, as one field. */
static enum nr_err
put_field(struct nr_row *r, struct nr_bytes b, struct nr_diag *d)
{
    enum nr_err err = make_room(r, d);

    while (b.n > 0 && !err) {
        size_t n = nr_min(b.n, BUFFER - FIXED_MAX / 2 - r->n);

        for (size_t i = 0; i < n; i++)
            r->p[r->n++] = is_control(b.p[i]) ? '?' : b.p[i];
        b = nr_bytes_sub(b, n, b.n);
        err = make_room(r, d);
    }
    return err;
}

/* The text of a value at P, of at most VALUE_MAX octets; its end. */
static uint8_t *
put_value(struct nr_row *r, uint8_t *p, enum nr_kind kind, struct nr_bytes key)
{
    bool direct = !r->o->defang;

    if (direct && kind == NR_KIND_IPV4) {
        p = put_octet(p, key.p[0]);
        *p++ = '.';
        p = put_octet(p, key.p[1]);
        *p++ = '.';
        p = put_octet(p, key.p[2]);
        *p++ = '.';
        return put_octet(p, key.p[3]);
    }
    if (direct &&
        (kind == NR_KIND_DOMAIN || kind == NR_KIND_URL ||
            kind == NR_KIND_EMAIL))
        return put_bytes(p, key);
    if (kind == NR_KIND_MD5 || kind == NR_KIND_SHA1 || kind == NR_KIND_SHA256)
        return put_hex(p, key);
    nr_buf_reset(&r->text);
    if (direct)
        nr_canon_print(kind, key, &r->text);
    else
        nr_defang(kind, key, &r->text);
    return put_bytes(p, nr_buf_bytes(&r->text));
}

static void
render_line(struct nr_row *r, uint64_t line)
{
    uint8_t *p = (uint8_t *)r->line_text;

    r->line = line;
    r->line_n = (size_t)(put_u64(p, line) - p);
}

static uint8_t *
put_place(struct nr_row *r, uint8_t *p, const struct nr_place *place)
{
    if (r->o->unique) {
        *p++ = '\t';
        p = put_u64(p, place->count);
    }
    p = put_bytes(p, nr_buf_bytes(&r->file));
    if (place->line != r->line)
        render_line(r, place->line);
    memcpy(p, r->line_text, sizeof(r->line_text));
    p += r->line_n;
    if (!r->o->unique) {
        *p++ = '\t';
        p = put_u64(p, place->column);
    }
    if (r->o->offset) {
        *p++ = '\t';
        p = put_u64(p, place->offset);
    }
    return p;
}

static bool
has_context(const struct nr_extract_options *o)
{
    return o->whole_line || o->context > 0;
}

static enum nr_err
put_tsv(struct nr_row *r, enum nr_kind kind, struct nr_bytes key,
    const struct nr_place *place, const struct nr_warn_hit *known,
    struct nr_diag *d)
{
    struct nr_str none = NR_STR("-");
    enum nr_err err = make_room(r, d);
    uint8_t *p = r->p + r->n;

    if (err)
        return err;
    memcpy(p, r->kinds[kind].text, sizeof(r->kinds[kind].text));
    p += r->kinds[kind].n;
    p = put_value(r, p, kind, key);
    p = put_place(r, p, place);
    r->n = (size_t)(p - r->p);
    if (has_context(r->o)) {
        r->p[r->n++] = '\t';
        err = put_field(r, place->context, d);
    }
    if (!err && r->o->known == NR_KNOWN_MARKED) {
        r->p[r->n++] = '\t';
        err = put_field(r, nr_bytes_of(known ? known->list : none), d);
    }
    r->p[r->n++] = '\n';
    return err;
}

static enum nr_err
put_json(struct nr_row *r, enum nr_kind kind, struct nr_bytes key,
    const struct nr_place *place, const struct nr_warn_hit *known,
    struct nr_diag *d)
{
    enum nr_err err = make_room(r, d);
    struct nr_bytes value, rest;
    struct nr_json_out o;

    if (err)
        return err;
    /* Built where rows go, and overwritten by the row. */
    value.p = r->p + r->n;
    value.n = (size_t)(put_value(r, r->p + r->n, kind, key) - value.p);
    nr_buf_reset(&r->text);
    nr_json_out_init(&o, &r->text);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), nr_str_of(nr_kind_name(kind)));
    nr_json_key(&o, NR_STR("value"));
    nr_json_put_bytes(&o, value);
    if (r->o->unique)
        nr_json_member_i64(&o, NR_STR("count"), (int64_t)place->count);
    nr_json_key(&o, NR_STR("file"));
    nr_json_put_bytes(&o, nr_buf_bytes(&r->file));
    nr_json_member_i64(&o, NR_STR("line"), (int64_t)place->line);
    if (!r->o->unique)
        nr_json_member_i64(&o, NR_STR("column"), (int64_t)place->column);
    if (r->o->offset)
        nr_json_member_i64(&o, NR_STR("offset"), (int64_t)place->offset);
    if (has_context(r->o)) {
        nr_json_key(&o, NR_STR("context"));
        nr_json_put_bytes(&o, place->context);
    }
    if (r->o->known == NR_KNOWN_MARKED && known)
        nr_json_member_str(&o, NR_STR("known"), known->list);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&r->text, '\n');
    if (err || r->text.err)
        return nr_fail(d, err ? err : r->text.err, 0, "extract: a JSON row");
    rest = nr_buf_bytes(&r->text);
    while (rest.n > 0 && !err) {
        size_t room = nr_min(rest.n, FIXED_MAX);

        err = make_room(r, d);
        if (err)
            break;
        r->n = (size_t)(put_bytes(r->p + r->n, nr_bytes_sub(rest, 0, room)) -
            r->p);
        rest = nr_bytes_sub(rest, room, rest.n);
    }
    return err;
}

enum nr_err
nr_row_put(struct nr_row *r, unsigned kind, struct nr_bytes key,
    const struct nr_place *place, struct nr_diag *d)
{
    enum nr_kind k = (enum nr_kind)kind;
    struct nr_warn_hit hit;
    bool is_known = r->o->known != NR_KNOWN_IGNORED &&
        nr_warn_check(r->o->warn, k, key, &hit);

    if (is_known && r->o->known == NR_KNOWN_DROPPED)
        return NR_OK;
    return r->o->json ? put_json(r, k, key, place, is_known ? &hit : NULL, d)
                      : put_tsv(r, k, key, place, is_known ? &hit : NULL, d);
}
