/* The home directory: making it, finding it, its configuration. */
#include "crypto/crypto.h"
#include "logline/logline.h"
#include "member/member.h"
#include "member/private.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const char first_config[] =
    "# noroshi: configuration of this home, one \"key = value\" a line.\n"
    "#\n"
    "# What the agent follows: a file, a pattern or a directory, repeated.\n"
    "#source = /var/log/squid/access.log\n"
    "#source = /var/log/nginx/*.log\n"
    "# New lines enter the archive at most every N seconds.\n"
    "#ingest = 60\n"
    "# Zone of log times that name none.\n"
    "#tz = +0900\n"
    "# What `noroshi archive prune` keeps: days, days of one kind of log,\n"
    "# megabytes of archive.\n"
    "#keep = 1095\n"
    "#keep.flow = 365\n"
    "#keep-size = 200000\n"
    "# URLs hold what people asked for: no keeps them out of the index.\n"
    "#index-urls = no\n"
    "#\n"
    "# What may leave: auto (answers are sent), ask (held for\n"
    "# `noroshi outbox send`), never (answered here only). One collection:\n"
    "# share.COLLECTION-ID = ask\n"
    "share = auto\n"
    "#\n"
    "# Values and ranges that warninglists shall not flag here.\n"
    "#allow = 192.0.2.0/24\n"
    "#\n"
    "# Our own domains: never in what a report shows to others.\n"
    "#domain = example.jp\n";

static const char *const dirs[] = { NR_HOME_HUB, NR_HOME_INBOX, NR_HOME_DONE,
    NR_HOME_OUTBOX, "outbox/pending", "outbox/held", "outbox/sent",
    "outbox/dropped", NR_HOME_WATCHLIST, "lists", NR_HOME_ARCHIVE,
    NR_HOME_RUN };

static bool
is_share(struct nr_str v)
{
    return nr_str_eq(v, NR_STR("auto")) || nr_str_eq(v, NR_STR("ask")) ||
        nr_str_eq(v, NR_STR("never"));
}

static bool
is_yes_no(struct nr_str v)
{
    return nr_str_eq(v, NR_STR("yes")) || nr_str_eq(v, NR_STR("no"));
}

static bool
is_zone(struct nr_str v)
{
    int64_t east;

    return nr_zone_parse(v, &east);
}

static bool
is_megabytes(struct nr_str v)
{
    uint64_t n;

    return nr_str_to_u64(v, &n) && n >= NR_MEMORY_MIN_MB &&
        n <= NR_MEMORY_MAX_MB;
}

static bool
is_seconds(struct nr_str v)
{
    uint64_t n;

    return nr_str_to_u64(v, &n) && n >= 1 && n <= (uint64_t)NR_S_PER_DAY;
}

static bool
is_kind(struct nr_str name)
{
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (nr_str_eq(name, nr_str_of(nr_log_kind_name(k))))
            return true;
    return false;
}

static bool
is_days(struct nr_str v)
{
    uint64_t n;

    return nr_str_to_u64(v, &n) && n >= 1 && n <= NR_KEEP_DAYS_MAX;
}

static bool
is_size(struct nr_str v)
{
    uint64_t n;

    return nr_str_to_u64(v, &n) && n >= 1 && n <= NR_KEEP_MB_MAX;
}

static bool
is_there(struct nr_str v)
{
    return v.n > 0;
}

/* A key that nobody reads is a wish that nobody fulfils: unknown ones are
 * refused, "shares = never" would otherwise send everything. */
static const struct {
    struct nr_str key;
    bool (*good)(struct nr_str value);
    const char *what;
} keys[] = {
    { { "source", 6 }, is_there, "config: source names a file" },
    { { "share", 5 }, is_share, "config: share is auto, ask or never" },
    { { "tz", 2 }, is_zone, "config: tz is an offset as +0900" },
    { { "allow", 5 }, is_there, "config: allow names a range or a name" },
    { { "warninglists", 12 }, is_there, "config: warninglists is a directory" },
    { { "memory", 6 }, is_megabytes,
        "config: memory is 8 to 65536 (megabytes for reading logs)" },
    { { "domain", 6 }, is_there, "config: domain is one of our own" },
    { { "ingest", 6 }, is_seconds,
        "config: ingest is 1 to 86400 (seconds between two readings)" },
    { { "keep", 4 }, is_days,
        "config: keep is 1 to 36500 (days that logs are kept)" },
    { { "keep-size", 9 }, is_size,
        "config: keep-size is a number of megabytes for the archive" },
    { { "index-urls", 10 }, is_yes_no,
        "config: index-urls is yes or no (no: URLs are not in the index)" },
    { { "sector", 6 }, is_there, "config: sector is a word" },
    { { "size", 4 }, is_there, "config: size is a word" },
};

static enum nr_err
check_setting(const struct nr_setting *s, size_t at, struct nr_diag *d)
{
    static const struct nr_str share = { "share.", 6 };
    static const struct nr_str keep = { "keep.", 5 };
    bool one = s->key.n > share.n && memcmp(s->key.p, share.p, share.n) == 0;
    struct nr_str key = s->key;
    char name[NR_DIAG_NAME_MAX];

    /* keep.KIND is checked as keep is. */
    if (key.n > keep.n && memcmp(key.p, keep.p, keep.n) == 0 &&
        is_kind((struct nr_str){ key.p + keep.n, key.n - keep.n }))
        key.n = keep.n - 1;
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        if (!nr_str_eq(key, keys[i].key) && !(one && i == 1))
            continue;
        if (keys[i].good(s->value))
            return NR_OK;
        return nr_fail(d, NR_EFORMAT, at, keys[i].what);
    }
    nr_copy_cut(name, sizeof(name), s->key);
    nr_fail_name(d, NR_EFORMAT, "config: no such key", name);
    if (d)
        d->at = at;
    return NR_EFORMAT;
}

static enum nr_err
parse_line(struct nr_str line, size_t at, struct nr_config *out,
    struct nr_diag *d)
{
    struct nr_setting *s = &out->v[out->n];
    struct nr_str value, all = nr_str_trim(line);
    const char *equals = all.n ? memchr(all.p, '=', all.n) : NULL;

    if (all.n == 0 || all.p[0] == '#')
        return NR_OK;
    if (!equals)
        return nr_fail(d, NR_EFORMAT, at, "config: a line without \"=\"");
    if (out->n == NR_CONFIG_LINES_MAX)
        return nr_fail(d, NR_ELIMIT, at, "config: more than 10000 settings");
    s->key = nr_str_trim(nr_str_cut(all, '=', &value));
    s->value = nr_str_trim(value);
    out->n++;
    return check_setting(s, at, d);
}

enum nr_err
nr_config_parse(struct nr_arena *a, struct nr_bytes in, struct nr_config *out,
    struct nr_diag *d)
{
    struct nr_config c = { 0 };
    struct nr_str rest;
    size_t lines = 1, bad = nr_utf8_valid_len(in);

    if (in.n > NR_CONFIG_MAX)
        return nr_fail(d, NR_ELIMIT, NR_CONFIG_MAX,
            "config: larger than its limit");
    if (bad < in.n || !nr_str_from_utf8(in, &rest))
        return nr_fail(d, NR_EFORMAT, bad, "config: not UTF-8");
    if (in.n > 0 && memchr(in.p, 0, in.n))
        return nr_fail(d, NR_EFORMAT, 0, "config: a NUL octet; not a text");
    for (size_t i = 0; i < in.n; i++)
        lines += in.p[i] == '\n';
    c.v = nr_new(a, struct nr_setting, nr_config_slots(lines));
    if (!c.v)
        return nr_fail(d, NR_ENOMEM, 0, "config: no memory");
    for (size_t line = 1; rest.n > 0; line++) {
        size_t at = (size_t)((const uint8_t *)rest.p - in.p);
        struct nr_str text = nr_str_cut(rest, '\n', &rest);
        enum nr_err err = parse_line(text, at, &c, d);

        if (err)
            return err;
        if (c.n > 0 && c.v[c.n - 1].line == 0)
            c.v[c.n - 1].line = line;
    }
    *out = c;
    return NR_OK;
}

enum nr_err
nr_config_read(struct nr_arena *a, const char *dir, struct nr_config *out,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    enum nr_err err = nr_path_join(path, dir, NR_HOME_CONFIG, d);

    if (!err)
        err = nr_file_read(a, path, NR_CONFIG_MAX, &in, NULL);
    if (err == NR_ENOTFOUND) {
        *out = (struct nr_config){ 0 };
        return NR_OK;
    }
    if (err)
        return nr_fail_file(d, "config: cannot be read", path);
    err = nr_config_parse(a, in, out, d);
    if (err)
        nr_diag_add_name(d, path);
    return err;
}

bool
nr_config_get(const struct nr_config *c, struct nr_str key, struct nr_str *out)
{
    for (size_t i = c->n; i > 0; i--) {
        if (nr_str_eq(c->v[i - 1].key, key)) {
            *out = c->v[i - 1].value;
            return true;
        }
    }
    return false;
}

bool
nr_config_next(const struct nr_config *c, struct nr_str key, size_t *at,
    struct nr_str *out)
{
    while (*at < c->n) {
        const struct nr_setting *s = &c->v[(*at)++];

        if (nr_str_eq(s->key, key)) {
            *out = s->value;
            return true;
        }
    }
    return false;
}

static const char *const shares[] = { "auto", "ask", "never" };

const char *
nr_share_name(enum nr_share s)
{
    return shares[s];
}

enum nr_share
nr_share_of(const struct nr_config *c, struct nr_str collection)
{
    struct nr_str v = NR_STR("auto");
    char key[NR_CONFIG_KEY_MAX] = "share.";
    size_t at = strlen(key);

    nr_copy_cut(key + at, sizeof(key) - at, collection);
    /* A collection whose id has no room is nobody's: the general word. */
    if (collection.n == 0 || collection.n >= sizeof(key) - at ||
        !nr_config_get(c, nr_str_of(key), &v))
        (void)nr_config_get(c, NR_STR("share"), &v);
    for (size_t i = 0; i < sizeof(shares) / sizeof(*shares); i++)
        if (nr_str_eq(v, nr_str_of(shares[i])))
            return (enum nr_share)i;
    return NR_SHARE_NEVER; /* not reached: values are checked when parsed */
}

static enum nr_err
write_new(const char *dir, const char *name, struct nr_bytes in,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, dir, name, d);

    if (err || access(path, F_OK) == 0)
        return err;
    return nr_file_replace(path, in, 0600, d);
}

static enum nr_err
write_identity(const char *dir, const struct nr_env *env, struct nr_diag *d)
{
    char text[NR_ED25519_SEED_LEN * 2 + 2];
    struct nr_ed25519 key;
    enum nr_err err = nr_ed25519_create(env, &key, d);

    if (err)
        return err;
    nr_hex_print((struct nr_bytes){ key.seed, sizeof(key.seed) }, text);
    text[sizeof(text) - 2] = '\n';
    err = write_new(dir, NR_HOME_IDENTITY,
        (struct nr_bytes){ (uint8_t *)text, sizeof(text) - 1 }, d);
    nr_wipe(text, sizeof(text));
    nr_wipe(&key, sizeof(key));
    return err;
}

enum nr_err
nr_home_init(const char *dir, const struct nr_env *env, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_dir_make(dir, 0700, d);

    for (size_t i = 0; !err && i < sizeof(dirs) / sizeof(*dirs); i++) {
        err = nr_path_join(path, dir, dirs[i], d);
        if (!err)
            err = nr_dir_make(path, 0700, d);
    }
    if (!err)
        err = write_identity(dir, env, d);
    /* The config comes last: it is what nr_home_check() looks for. */
    if (!err)
        err = write_new(dir, NR_HOME_CONFIG,
            nr_bytes_of(nr_str_of(first_config)), d);
    return err;
}

enum nr_err
nr_home_check(const char *dir, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, dir, NR_HOME_IDENTITY, d);

    if (err || access(path, R_OK) == 0)
        return err;
    if (errno == ENOENT || errno == ENOTDIR)
        return nr_fail_name(d, NR_ENOTFOUND,
            "home: there is none; make one with `noroshi init`", dir);
    return nr_fail_file(d, "home: cannot be read", path);
}

enum nr_err
nr_identity_read(const char *dir, struct nr_ed25519 *out, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    uint8_t seed[NR_ED25519_SEED_LEN];
    struct nr_arena a;
    struct nr_bytes in = { 0 };
    enum nr_err err = nr_path_join(path, dir, NR_HOME_IDENTITY, d);

    nr_arena_init(&a, NR_SMALL_MEMORY);
    if (!err)
        err = nr_file_read(&a, path, NR_SMALL_FILE, &in, d);
    if (!err && in.n == 2 * sizeof(seed) + 1 && in.p[in.n - 1] == '\n')
        in.n--;
    if (!err && !nr_hex_parse(in, seed, sizeof(seed)))
        err = nr_fail_name(d, NR_EDAMAGED,
            "identity: not a key of 64 hex digits", path);
    if (!err)
        nr_ed25519_from_seed(seed, out);
    nr_wipe(seed, sizeof(seed));
    nr_arena_fini(&a);
    return err;
}
