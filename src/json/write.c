/* The writer: a small state machine in front of a buffer. */
#include "json/json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define HAS_MEMBERS 0x80

void
nr_json_out_init(struct nr_json_out *o, struct nr_buf *buf)
{
    *o = (struct nr_json_out){ .buf = buf, .start = buf->n };
}

static void
misuse(struct nr_json_out *o)
{
    o->bad = true;
    o->buf->n = o->start;
}

enum nr_err
nr_json_out_end(struct nr_json_out *o)
{
    enum nr_err err = o->buf->err;

    if (!err && (o->bad || !o->full))
        err = NR_EFORMAT;
    if (err)
        o->buf->n = o->start;
    return err;
}

static void
line(struct nr_json_out *o)
{
    if (o->indent == 0)
        return;
    nr_buf_put_c(o->buf, '\n');
    for (size_t i = o->depth * o->indent; i > 0; i--)
        nr_buf_put_c(o->buf, ' ');
}

/* A member begins: its comma and its line. */
static void
begin_member(struct nr_json_out *o)
{
    uint8_t *top = &o->open[o->depth - 1];

    if (*top & HAS_MEMBERS)
        nr_buf_put_c(o->buf, ',');
    *top |= HAS_MEMBERS;
    line(o);
}

static bool
in_object(const struct nr_json_out *o)
{
    return o->depth > 0 && (o->open[o->depth - 1] & ~HAS_MEMBERS) == '{';
}

/* May a value stand here? */
static bool
begin_value(struct nr_json_out *o)
{
    if (o->bad)
        return false;
    if (o->full || in_object(o) != o->named) {
        misuse(o);
        return false;
    }
    if (o->depth > 0 && !o->named)
        begin_member(o);
    o->named = false;
    o->full = o->depth == 0;
    return true;
}

static void
open_container(struct nr_json_out *o, char c)
{
    if (o->depth >= NR_JSON_DEPTH_MAX)
        misuse(o);
    if (!begin_value(o))
        return;
    o->full = false;
    o->open[o->depth++] = (uint8_t)c;
    nr_buf_put_c(o->buf, c);
}

static void
close_container(struct nr_json_out *o, char opened, char c)
{
    bool members;

    if (o->bad)
        return;
    if (o->depth == 0 || o->named ||
        (o->open[o->depth - 1] & ~HAS_MEMBERS) != opened) {
        misuse(o);
        return;
    }
    members = o->open[--o->depth] & HAS_MEMBERS;
    if (members)
        line(o);
    nr_buf_put_c(o->buf, c);
    o->full = o->depth == 0;
}

void
nr_json_open_object(struct nr_json_out *o)
{
    open_container(o, '{');
}

void
nr_json_close_object(struct nr_json_out *o)
{
    close_container(o, '{', '}');
}

void
nr_json_open_array(struct nr_json_out *o)
{
    open_container(o, '[');
}

void
nr_json_close_array(struct nr_json_out *o)
{
    close_container(o, '[', ']');
}

static void
put_escape(struct nr_buf *b, uint8_t c)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *at = c ? strchr(from, c) : NULL;

    if (at) {
        nr_buf_put_c(b, '\\');
        nr_buf_put_c(b, to[at - from]);
    } else {
        nr_buf_printf(b, "\\u%04x", c);
    }
}

static void
put_quoted(struct nr_buf *b, struct nr_bytes s)
{
    nr_buf_put_c(b, '"');
    while (s.n > 0) {
        size_t valid = nr_utf8_valid_len(s), run = 0;

        for (size_t i = 0; i < valid; i++) {
            if (s.p[i] >= 0x20 && s.p[i] != '"' && s.p[i] != '\\')
                continue;
            nr_buf_put(b, nr_bytes_sub(s, run, i));
            put_escape(b, s.p[i]);
            run = i + 1;
        }
        nr_buf_put(b, nr_bytes_sub(s, run, valid));
        if (valid < s.n) {
            nr_buf_put(b, NR_BYTES("\xef\xbf\xbd"));
            valid++;
        }
        s = nr_bytes_sub(s, valid, s.n);
    }
    nr_buf_put_c(b, '"');
}

void
nr_json_key(struct nr_json_out *o, struct nr_str name)
{
    if (o->bad)
        return;
    if (!in_object(o) || o->named) {
        misuse(o);
        return;
    }
    begin_member(o);
    put_quoted(o->buf, nr_bytes_of(name));
    nr_buf_put_c(o->buf, ':');
    if (o->indent)
        nr_buf_put_c(o->buf, ' ');
    o->named = true;
}

void
nr_json_put_null(struct nr_json_out *o)
{
    if (begin_value(o))
        nr_buf_put_str(o->buf, NR_STR("null"));
}

void
nr_json_put_bool(struct nr_json_out *o, bool truth)
{
    if (begin_value(o))
        nr_buf_put_str(o->buf, truth ? NR_STR("true") : NR_STR("false"));
}

void
nr_json_put_i64(struct nr_json_out *o, int64_t v)
{
    if (begin_value(o))
        nr_buf_printf(o->buf, "%lld", (long long)v);
}

/* Decimal digits of V > 0, fewest that read back the same, most significant
 * first; *EXP10 is the power of ten of the first one. */
static size_t
shortest_digits(double v, char digits[20], int *exp10)
{
    char text[40];
    size_t n = 0;

    for (int precision = 0; precision <= 16; precision++) {
        uint64_t want, got;
        double back;

        (void)snprintf(text, sizeof(text), "%.*e", precision, v);
        back = strtod(text, NULL);
        memcpy(&want, &v, sizeof(want));
        memcpy(&got, &back, sizeof(got));
        if (got == want)
            break;
    }
    for (const char *p = text; *p && *p != 'e'; p++)
        if (nr_is_digit((uint8_t)*p) && n < 20)
            digits[n++] = *p;
    *exp10 = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static void
put_zeros(struct nr_buf *b, int n)
{
    for (; n > 0; n--)
        nr_buf_put_c(b, '0');
}

/* Number::toString of ECMAScript, as RFC 8785 section 3.2.2.3 wants it. */
static void
put_positive(struct nr_buf *b, double v)
{
    char digits[20] = "0";
    int exp10, k = (int)shortest_digits(v, digits, &exp10), n = exp10 + 1;

    if (n > 21 || n <= -6) {
        nr_buf_printf(b, "%c%s%.*s", digits[0], k > 1 ? "." : "", k - 1,
            digits + 1);
        nr_buf_printf(b, "e%c%d", n > 0 ? '+' : '-', n > 0 ? n - 1 : 1 - n);
    } else if (n <= 0) {
        nr_buf_put_str(b, NR_STR("0."));
        put_zeros(b, -n);
        nr_buf_printf(b, "%.*s", k, digits);
    } else if (k <= n) {
        nr_buf_printf(b, "%.*s", k, digits);
        put_zeros(b, n - k);
    } else {
        nr_buf_printf(b, "%.*s.%.*s", n, digits, k - n, digits + n);
    }
}

void
nr_json_put_double(struct nr_json_out *o, double v)
{
    if (!isfinite(v))
        misuse(o);
    if (!begin_value(o))
        return;
    if (fpclassify(v) == FP_ZERO) {
        nr_buf_put_c(o->buf, '0');
        return;
    }
    if (signbit(v))
        nr_buf_put_c(o->buf, '-');
    put_positive(o->buf, fabs(v));
}

void
nr_json_put_bytes(struct nr_json_out *o, struct nr_bytes b)
{
    if (begin_value(o))
        put_quoted(o->buf, b);
}

void
nr_json_put_str(struct nr_json_out *o, struct nr_str s)
{
    nr_json_put_bytes(o, nr_bytes_of(s));
}

void
nr_json_put_raw(struct nr_json_out *o, struct nr_bytes text)
{
    if (nr_json_check(text, NULL))
        misuse(o);
    if (begin_value(o))
        nr_buf_put(o->buf, text);
}

static void
put_scalar(struct nr_json_out *o, const struct nr_json *j)
{
    if (j->type == NR_JSON_STRING) {
        nr_json_put_str(o, j->text);
    } else if (j->type == NR_JSON_BOOL) {
        nr_json_put_bool(o, j->truth);
    } else if (j->type == NR_JSON_NULL) {
        nr_json_put_null(o);
    } else if (begin_value(o)) {
        nr_buf_put_str(o->buf, j->text);
    }
}

static void
close_tree(struct nr_json_out *o, const struct nr_json *j)
{
    if (j->type == NR_JSON_OBJECT)
        close_container(o, '{', '}');
    else
        close_container(o, '[', ']');
}

static bool
is_container(const struct nr_json *j)
{
    return j->type == NR_JSON_OBJECT || j->type == NR_JSON_ARRAY;
}

void
nr_json_put_tree(struct nr_json_out *o, const struct nr_json *j)
{
    const struct nr_json *up[NR_JSON_DEPTH_MAX];
    size_t depth = 0;

    while (j && !o->bad) {
        if (depth > 0 && up[depth - 1]->type == NR_JSON_OBJECT)
            nr_json_key(o, j->key);
        if (!is_container(j)) {
            put_scalar(o, j);
        } else {
            open_container(o, j->type == NR_JSON_OBJECT ? '{' : '[');
            if (o->bad)
                return; /* as deep as UP */
            up[depth++] = j;
            if (j->child) {
                j = j->child;
                continue;
            }
            close_tree(o, up[--depth]);
        }
        while (depth > 0 && !j->next) {
            j = up[--depth];
            close_tree(o, j);
        }
        j = depth > 0 ? j->next : NULL;
    }
}

void
nr_json_member_str(struct nr_json_out *o, struct nr_str name, struct nr_str v)
{
    nr_json_key(o, name);
    nr_json_put_str(o, v);
}

void
nr_json_member_i64(struct nr_json_out *o, struct nr_str name, int64_t v)
{
    nr_json_key(o, name);
    nr_json_put_i64(o, v);
}

void
nr_json_member_bool(struct nr_json_out *o, struct nr_str name, bool v)
{
    nr_json_key(o, name);
    nr_json_put_bool(o, v);
}
