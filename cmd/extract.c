/*
 * noroshi extract: every observable of any text, "kind value file line column".
 *
 * Unlike a watchlist, a reader wants each thing once: of two readings of the
 * same text ("%2Fevil.com", "http://evil.com.") only the inner one is printed,
 * and a name only when its top-level domain exists ("index.html" does not).
 */
#include "block.h"
#include "cmds.h"
#include "json/json.h"

#include <stdio.h>
#include <string.h>

#define ROW_MAX ((size_t)1 << 28) /* octets of output of one block */

static const char usage[] = "[--kinds KIND,...] [--json] [FILE...]";

struct extract {
    struct cli *cli;
    unsigned kinds; /* bit 1 << kind */
    bool json;
    struct nr_tokens tokens;
    struct nr_buf out, value;
};

/* Is the next token another, inner reading of this one? */
static bool
is_outer_reading(const struct nr_tokens *t, size_t i)
{
    const struct nr_token *a = &t->v[i], *b = a + 1;

    return i + 1 < t->n && a->kind == b->kind && a->line == b->line &&
        b->at >= a->at && b->at + b->len <= a->at + a->len &&
        (b->at == a->at || b->at + b->len == a->at + a->len);
}

static bool
is_wanted(const struct extract *x, size_t i)
{
    const struct nr_token *k = &x->tokens.v[i];

    return (x->kinds >> k->kind & 1) && !is_outer_reading(&x->tokens, i) &&
        (k->kind != NR_KIND_DOMAIN ||
            nr_domain_has_known_tld(nr_token_key(&x->tokens, k)));
}

static void
put_json(struct extract *x, struct nr_str kind, struct nr_bytes file,
    uint64_t line, uint64_t column)
{
    struct nr_json_out o;

    nr_json_out_init(&o, &x->out);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("kind"), kind);
    nr_json_key(&o, NR_STR("value"));
    nr_json_put_bytes(&o, nr_buf_bytes(&x->value));
    nr_json_key(&o, NR_STR("file"));
    nr_json_put_bytes(&o, file);
    nr_json_member_i64(&o, NR_STR("line"), (int64_t)line);
    nr_json_member_i64(&o, NR_STR("column"), (int64_t)column);
    nr_json_close_object(&o);
    if (nr_json_out_end(&o) != NR_OK && x->out.err == NR_OK)
        x->out.err = NR_ENOMEM;
    nr_buf_put_c(&x->out, '\n');
}

static void
put_row(struct extract *x, const struct nr_token *k, const char *file,
    uint64_t line, uint64_t column)
{
    struct nr_str kind = nr_str_of(nr_kind_name((enum nr_kind)k->kind));
    struct nr_bytes name = { (const uint8_t *)file, strlen(file) };

    nr_buf_reset(&x->value);
    nr_canon_print((enum nr_kind)k->kind, nr_token_key(&x->tokens, k),
        &x->value);
    if (x->json) {
        put_json(x, kind, name, line, column);
        return;
    }
    nr_buf_put_str(&x->out, kind);
    nr_buf_put_c(&x->out, '\t');
    block_put_field(&x->out, nr_buf_bytes(&x->value));
    nr_buf_put_c(&x->out, '\t');
    block_put_field(&x->out, name);
    nr_buf_printf(&x->out, "\t%llu\t%llu\n", (unsigned long long)line,
        (unsigned long long)column);
}

/* OFFSET: octets of the first line that earlier pieces of it held. */
static enum nr_err
block(struct extract *x, const struct nr_block *b, const char *file,
    uint64_t offset, struct nr_diag *d)
{
    enum nr_err err = block_scan(b, &x->tokens);

    if (err != NR_OK)
        return nr_fail(d, err, 0, "extract: out of memory");
    nr_buf_reset(&x->out);
    for (size_t i = 0; i < x->tokens.n; i++) {
        const struct nr_token *k = &x->tokens.v[i];

        if (is_wanted(x, i))
            put_row(x, k, file, b->first_line + k->line,
                k->at - x->tokens.line_at[k->line] + 1 +
                    (k->line == 0 ? offset : 0));
    }
    if (x->out.err != NR_OK)
        return nr_fail(d, x->out.err, 0, "extract: output of a block");
    if (x->out.n > 0 && fwrite(x->out.p, 1, x->out.n, stdout) != x->out.n)
        return nr_fail_sys(d, "extract: standard output");
    return NR_OK;
}

/* NR_OK; *READ false: the file could not be read to its end. */
static enum nr_err
file(struct extract *x, const char *path, bool *read, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct nr_input *in = NULL;
    struct nr_block b = { 0 };
    uint64_t offset = 0;
    enum nr_err err = nr_input_open(path, NULL, &in, &why), fatal = NR_OK;

    while (err == NR_OK && fatal == NR_OK) {
        err = nr_input_next(in, &b, &why);
        if (err != NR_OK || b.text.n == 0)
            break;
        offset = b.continues ? offset : 0;
        fatal = block(x, &b, path, offset, d);
        offset += b.text.n;
    }
    nr_input_free(in);
    if (err != NR_OK)
        (void)cli_fail(x->cli, &why);
    *read = err == NR_OK;
    return fatal;
}

static bool
choose(struct extract *x, const char *names)
{
    struct nr_str rest = nr_str_of(names);

    if (!names) {
        x->kinds = (1u << NR_KINDS) - 1;
        return true;
    }
    while (rest.n > 0) {
        struct nr_str name = nr_str_trim(nr_str_cut(rest, ',', &rest));
        enum nr_kind kind;

        if (!nr_kind_from_name(name, &kind)) {
            (void)cli_error(x->cli, "%.*s: no such kind of observable",
                NR_FMT(name));
            return false;
        }
        x->kinds |= 1u << kind;
        if (kind == NR_KIND_WALLET_BTC && nr_str_eq(name, NR_STR("wallet")))
            x->kinds |= 1u << NR_KIND_WALLET_ETH;
    }
    return true;
}

int
cmd_extract(struct cli *cli, int argc, char **argv)
{
    static const char *standard_input = "-";
    struct extract x = { .cli = cli };
    const char *kinds = NULL;
    const struct cli_option options[] = {
        { "kinds", 'k', CLI_TEXT, &kinds },
        { "json", 0, CLI_FLAG, &x.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    enum nr_err err = NR_OK;
    int status = CLI_NOTHING, n;

    if (!cli_parse(cli, options, usage, argc, argv, &n) || !choose(&x, kinds))
        return CLI_ERROR;
    nr_tokens_init(&x.tokens, NR_SCAN_MORE);
    nr_buf_init(&x.out, ROW_MAX);
    nr_buf_init(&x.value, 2 * NR_KEY_MAX);
    for (int i = 0; i < (n > 0 ? n : 1) && err == NR_OK; i++) {
        bool read = true;

        err = file(&x, n > 0 ? argv[i] : standard_input, &read, &d);
        if (!read)
            status = CLI_INCOMPLETE;
    }
    if (err != NR_OK)
        status = cli_fail(cli, &d);
    nr_tokens_fini(&x.tokens);
    nr_buf_fini(&x.out);
    nr_buf_fini(&x.value);
    return status;
}
