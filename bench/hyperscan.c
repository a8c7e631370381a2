/*
 * A log watcher on Hyperscan (or Vectorscan), as one would build it in the
 * field, for comparison: every indicator is a literal of one database, each
 * match is then checked for the boundaries that its kind asks for.
 *
 *   hyperscan [-r] LIST <log >hits       LIST: kind TAB value
 *
 * -r: raw, no boundary check. Prints line TAB kind TAB indicator, and on
 * standard error the seconds and octets of the database and the CPU seconds of
 * the scan. Out of reach of
 * literals and left out: networks, other spellings of an IPv6 address, escaped
 * slashes, the upper case of a URL's host.
 */
#include <hs/hs.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK ((size_t)4 << 20)

struct list {
    char **value; /* NUL-terminated, in one allocation each */
    char **kind;
    size_t *len;
    unsigned *id, *flag;
    unsigned n, cap;
};

struct scan {
    const struct list *list;
    bool raw;
    const char *text;
    size_t n;
    size_t counted; /* lines are counted up to here */
    uint64_t line;  /* LF before `counted` */
    uint64_t last_line;
    unsigned last_id;
};

static void
die(const char *what)
{
    fprintf(stderr, "hyperscan: %s\n", what);
    exit(2);
}

static void *
must(void *p)
{
    if (!p)
        die("out of memory");
    return p;
}

static bool
is_alnum(unsigned char c)
{
    return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
}

static bool
is_name(unsigned char c)
{
    return is_alnum(c) || c == '-' || c == '_';
}

/* The octet at I; an LF on either side of the text. */
static unsigned char
octet(const struct scan *s, size_t i)
{
    return i < s->n ? (unsigned char)s->text[i] : '\n';
}

/* Does a run end before B? A dot may follow that ends a sentence. */
static bool
run_ends(const struct scan *s, size_t b)
{
    unsigned char c = octet(s, b);

    if (c == '.')
        return !is_name(octet(s, b + 1)) && octet(s, b + 1) != '.';
    return !is_name(c);
}

/* Does an escape end at A: %HH, or \n, \r, \t? */
static bool
escaped(const struct scan *s, size_t a)
{
    if (a >= 3 && s->text[a - 3] == '%')
        return true;
    return a >= 2 && s->text[a - 2] == '\\' && s->text[a - 1] != '\0' &&
        strchr("nrt", s->text[a - 1]) != NULL;
}

static bool
bounded(const struct scan *s, const char *kind, size_t a, size_t b)
{
    unsigned char before = a > 0 ? (unsigned char)s->text[a - 1] : '\n';
    unsigned char after = octet(s, b);

    if (strcmp(kind, "domain") == 0)
        return (!is_name(before) || escaped(s, a)) && run_ends(s, b);
    if (strcmp(kind, "ipv4") == 0)
        return ((!is_name(before) && before != '.') || escaped(s, a)) &&
            run_ends(s, b);
    if (strcmp(kind, "email") == 0)
        return !is_name(before) && before != '.' && before != '+' &&
            run_ends(s, b);
    if (strcmp(kind, "ipv6") == 0)
        return !is_alnum(before) && before != ':' && !is_alnum(after) &&
            after != ':';
    if (strcmp(kind, "url") == 0)
        return !is_alnum(before) &&
            (after <= ' ' || after >= 0x7f ||
                strchr("\"'<>`|{}\\^", after) != NULL);
    return !is_alnum(before) && !is_alnum(after);
}

static int
on_match(unsigned id, unsigned long long from, unsigned long long to,
    unsigned flags, void *ctx)
{
    struct scan *s = ctx;
    size_t b = (size_t)to;
    const char *lf;

    (void)from;
    (void)flags;
    if (!s->raw && !bounded(s, s->list->kind[id], b - s->list->len[id], b))
        return 0;
    while (s->counted < b &&
        (lf = memchr(s->text + s->counted, '\n', b - s->counted))) {
        s->line++;
        s->counted = (size_t)(lf - s->text) + 1;
    }
    if (s->counted < b)
        s->counted = b;
    if (s->last_line == s->line + 1 && s->last_id == id)
        return 0;
    s->last_line = s->line + 1;
    s->last_id = id;
    printf("%llu\t%s\t%s\n", (unsigned long long)s->last_line,
        s->list->kind[id], s->list->value[id]);
    return 0;
}

static void
grow(struct list *l)
{
    l->cap = l->cap ? l->cap * 2 : 4096;
    l->value = must(reallocarray(l->value, l->cap, sizeof(*l->value)));
    l->kind = must(reallocarray(l->kind, l->cap, sizeof(*l->kind)));
    l->len = must(reallocarray(l->len, l->cap, sizeof(*l->len)));
    l->id = must(reallocarray(l->id, l->cap, sizeof(*l->id)));
    l->flag = must(reallocarray(l->flag, l->cap, sizeof(*l->flag)));
}

static void
read_list(struct list *l, const char *path)
{
    FILE *f = fopen(path, "r");
    char *row = NULL, *tab;
    size_t cap = 0;
    ssize_t n;

    if (!f)
        die("the list cannot be read");
    while ((n = getline(&row, &cap, f)) > 0) {
        row[strcspn(row, "\r\n")] = '\0';
        tab = strchr(row, '\t');
        if (row[0] == '#' || !tab || tab[1] == '\0')
            continue;
        *tab = '\0';
        if (strcmp(row, "cidr") == 0)
            continue;
        if (l->n == l->cap)
            grow(l);
        l->kind[l->n] = must(strdup(row));
        l->value[l->n] = must(strdup(tab + 1));
        l->len[l->n] = strlen(tab + 1);
        l->id[l->n] = l->n;
        l->flag[l->n] = strcmp(row, "url") == 0 ? 0 : HS_FLAG_CASELESS;
        l->n++;
    }
    free(row);
    fclose(f);
}

static double
now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static hs_database_t *
compile(const struct list *l)
{
    hs_database_t *db = NULL;
    hs_compile_error_t *error = NULL;
    double start = now();
    size_t size = 0;

    if (hs_compile_lit_multi((const char *const *)l->value, l->flag, l->id,
            l->len, l->n, HS_MODE_BLOCK, NULL, &db, &error) != HS_SUCCESS)
        die(error ? error->message : "does not compile");
    hs_database_size(db, &size);
    fprintf(stderr, "compiled %u literals in %.2f s, %zu octets\n", l->n,
        now() - start, size);
    return db;
}

/* Whole lines at a time: nothing straddles a block. */
static void
watch(struct scan *s, hs_database_t *db)
{
    hs_scratch_t *scratch = NULL;
    size_t have = 0, cap = BLOCK;
    char *text = must(malloc(cap));
    ssize_t k = 1;

    if (hs_alloc_scratch(db, &scratch) != HS_SUCCESS)
        die("out of memory");
    while (k > 0) {
        const char *lf;

        k = read(STDIN_FILENO, text + have, cap - have);
        have += k > 0 ? (size_t)k : 0;
        lf = memrchr(text, '\n', have);
        s->n = lf && k > 0 ? (size_t)(lf - text) + 1 : have;
        if (!lf && k > 0 && have < cap)
            continue;
        s->text = text;
        s->counted = 0;
        if (hs_scan(db, text, (unsigned)s->n, 0, scratch, on_match, s) !=
            HS_SUCCESS)
            die("the scan failed");
        while (s->counted < s->n &&
            (lf = memchr(text + s->counted, '\n', s->n - s->counted))) {
            s->line++;
            s->counted = (size_t)(lf - text) + 1;
        }
        memmove(text, text + s->n, have - s->n);
        have -= s->n;
    }
    free(text);
    hs_free_scratch(scratch);
}

int
main(int argc, char **argv)
{
    struct list list = { 0 };
    struct scan s = { .list = &list };
    hs_database_t *db;
    clock_t start;
    double begun;
    int at = 1;

    if (argc > at && strcmp(argv[at], "-r") == 0) {
        s.raw = true;
        at++;
    }
    if (argc != at + 1)
        die("usage: hyperscan [-r] LIST <log");
    read_list(&list, argv[at]);
    db = compile(&list);
    start = clock();
    begun = now();
    watch(&s, db);
    fprintf(stderr, "scanned in %.3f s, %.3f s CPU\n", now() - begun,
        (double)(clock() - start) / CLOCKS_PER_SEC);
    hs_free_database(db);
    return fflush(stdout) == 0 ? 0 : 2;
}
