/*
 * Disarmed text. Writers of reports break indicators so that nobody clicks
 * them; there is no standard, only habits, collected in the table below.
 */
#include "observable/observable.h"
#include "observable/rules.h"

#include <string.h>

static const struct {
    struct nr_str from; /* lower case */
    char to[4];
} marks[] = {
    { { "[://]", 5 }, "://" },
    { { "[dot]", 5 }, "." },
    { { "(dot)", 5 }, "." },
    { { "{dot}", 5 }, "." },
    { { "[at]", 4 }, "@" },
    { { "(at)", 4 }, "@" },
    { { "{at}", 4 }, "@" },
    { { "[.]", 3 }, "." },
    { { "(.)", 3 }, "." },
    { { "{.}", 3 }, "." },
    { { "[:]", 3 }, ":" },
    { { "[/]", 3 }, "/" },
    { { "[@]", 3 }, "@" },
    { { "(@)", 3 }, "@" },
    { { "[.", 2 }, "." },
    { { "\\.", 2 }, "." },
};

static const struct {
    struct nr_str from; /* lower case, before ':' or '[' */
    struct nr_str to;
} schemes[] = {
    { { "hxxps", 5 }, { "https", 5 } },
    { { "hxxp", 4 }, { "http", 4 } },
    { { "hxtps", 5 }, { "https", 5 } },
    { { "hxtp", 4 }, { "http", 4 } },
    { { "htxps", 5 }, { "https", 5 } },
    { { "htxp", 4 }, { "http", 4 } },
    { { "h**ps", 5 }, { "https", 5 } },
    { { "h**p", 4 }, { "http", 4 } },
    { { "fxp", 3 }, { "ftp", 3 } },
};

#define N_MARKS   (sizeof(marks) / sizeof(*marks))
#define N_SCHEMES (sizeof(schemes) / sizeof(*schemes))

static bool
starts_nocase(struct nr_bytes b, struct nr_str head)
{
    return b.n >= head.n &&
        nr_bytes_eq_nocase(nr_bytes_sub(b, 0, head.n), nr_bytes_of(head));
}

/* Asked of every octet: without a call. */
static inline bool
may_begin_mark(uint8_t c)
{
    return c == '[' || c == '(' || c == '{' || c == '\\';
}

/* Index of the mark at the start of B, or N_MARKS. */
static size_t
mark_at(struct nr_bytes b)
{
    size_t i = 0;

    if (b.n == 0 || !may_begin_mark(b.p[0]))
        return N_MARKS;
    while (i < N_MARKS && !starts_nocase(b, marks[i].from))
        i++;
    return i;
}

/* Index of the disarmed scheme at the start of B, or N_SCHEMES. */
static size_t
scheme_at(struct nr_bytes b)
{
    for (size_t i = 0; i < N_SCHEMES; i++) {
        size_t n = schemes[i].from.n;

        if (b.n > n && (b.p[n] == ':' || b.p[n] == '[') &&
            starts_nocase(b, schemes[i].from))
            return i;
    }
    return N_SCHEMES;
}

bool
nr_scheme_is_disarmed(struct nr_bytes u)
{
    return scheme_at(u) < N_SCHEMES;
}

void
nr_refang(struct nr_str text, struct nr_buf *out)
{
    struct nr_bytes b = nr_bytes_of(text);
    size_t at = 0, s = scheme_at(b);

    if (s < N_SCHEMES) {
        nr_buf_put_str(out, schemes[s].to);
        at = schemes[s].from.n;
    }
    while (at < b.n) {
        size_t m = mark_at(nr_bytes_sub(b, at, b.n));

        if (m < N_MARKS) {
            nr_buf_put_str(out,
                (struct nr_str){ marks[m].to, strlen(marks[m].to) });
            at += marks[m].from.n;
        } else {
            nr_buf_put_c(out, (char)b.p[at++]);
        }
    }
}

bool
nr_refang_line(struct nr_bytes line, struct nr_buf *out, struct nr_buf *edits)
{
    size_t at = 0, kept = 0, start = out->n;

    while (at < line.n) {
        struct nr_bytes rest = nr_bytes_sub(line, at, line.n);
        uint8_t c = line.p[at];
        struct nr_str from, to;
        struct nr_edit e;
        size_t i;

        if (may_begin_mark(c) && (i = mark_at(rest)) < N_MARKS) {
            from = marks[i].from;
            to = (struct nr_str){ marks[i].to, strlen(marks[i].to) };
        } else if (((c | 0x20) == 'h' || (c | 0x20) == 'f') &&
            (at == 0 ||
                !(nr_is_alpha(line.p[at - 1]) ||
                    nr_is_digit(line.p[at - 1]))) &&
            (i = scheme_at(rest)) < N_SCHEMES) {
            from = schemes[i].from;
            to = schemes[i].to;
        } else {
            at++;
            continue;
        }
        nr_buf_put(out, nr_bytes_sub(line, kept, at));
        nr_buf_put_str(out, to);
        kept = at += from.n;
        e = (struct nr_edit){ (uint32_t)(out->n - start), (uint32_t)at };
        nr_buf_put(edits, (struct nr_bytes){ (const uint8_t *)&e, sizeof(e) });
    }
    if (kept == 0)
        return false;
    nr_buf_put(out, nr_bytes_sub(line, kept, line.n));
    return true;
}

bool
nr_is_fanged_off(struct nr_bytes authority)
{
    for (size_t i = 0; i < authority.n; i++)
        if (mark_at(nr_bytes_sub(authority, i, authority.n)) < N_MARKS)
            return true;
    return false;
}

/* TEXT with its last dot (of the first END octets) and every '@' disarmed. */
static void
put_broken(struct nr_bytes text, size_t end, struct nr_buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (i < end && text.p[i] == '.')
            nr_buf_put_str(out, NR_STR("[.]"));
        else if (i < end && text.p[i] == '@')
            nr_buf_put_str(out, NR_STR("[@]"));
        else
            nr_buf_put_c(out, (char)text.p[i]);
    }
}

void
nr_defang(enum nr_kind kind, struct nr_bytes key, struct nr_buf *out)
{
    struct nr_buf text;
    struct nr_bytes b;
    size_t head, host_end;

    nr_buf_init(&text, NR_KEY_MAX + 1);
    nr_canon_print(kind, key, &text);
    b = nr_buf_bytes(&text);
    if (kind == NR_KIND_URL) {
        head = nr_url_head(b);
        host_end = head + nr_url_authority(b, head).n;
        if (nr_bytes_starts(b, NR_BYTES("http"))) {
            nr_buf_put_str(out, NR_STR("hxxp"));
            b = nr_bytes_sub(b, 4, b.n);
            host_end -= 4;
        }
        put_broken(b, host_end, out);
    } else if (kind == NR_KIND_IPV4 || kind == NR_KIND_CIDR4 ||
        kind == NR_KIND_DOMAIN || kind == NR_KIND_EMAIL) {
        put_broken(b, b.n, out);
    } else {
        nr_buf_put(out, b);
    }
    if (text.err != NR_OK && out->err == NR_OK)
        out->err = text.err;
    nr_buf_fini(&text);
}
