#include "base/test.h"

#include "cli.h"

#include <string.h>

#define WORDS 8

struct values {
    bool flag, other;
    const char *text;
    struct cli_list list;
    uint64_t n;
    int64_t time, zone;
};

static bool
parse(struct values *v, const char *const *in, int argc, char **argv,
    int *operands)
{
    const struct cli cli = { .program = "test", .command = "cli" };
    const struct cli_option table[] = {
        { "flag", 'f', CLI_FLAG, &v->flag },
        { "other", 'o', CLI_FLAG, &v->other },
        { "text", 't', CLI_TEXT, &v->text },
        { "list", 'l', CLI_LIST, &v->list },
        { "number", 'n', CLI_U64, &v->n },
        { "at", 0, CLI_TIME, &v->time },
        { "tz", 0, CLI_ZONE, &v->zone },
        { NULL, 0, CLI_FLAG, NULL },
    };

    *v = (struct values){ 0 };
    for (int i = 0; i < argc; i++)
        argv[i] = (char *)(uintptr_t)in[i];
    argv[argc] = NULL;
    return cli_parse(&cli, table, "...", argc, argv, operands);
}

static void
test_good(void **state)
{
    const char *const in[] = { "a", "-fot", "x", "--list=1", "b", "-l2", "--",
        "-c" };
    const char *const more[] = { "--number", "25M", "--at", "2017-08-21",
        "--tz=-0330", "-" };
    char *argv[WORDS + 1];
    struct values v;
    int n;

    (void)state;
    assert_true(parse(&v, in, 8, argv, &n));
    assert_int_equal(n, 3);
    assert_string_equal(argv[0], "a");
    assert_string_equal(argv[1], "b");
    assert_string_equal(argv[2], "-c");
    assert_true(v.flag && v.other && strcmp(v.text, "x") == 0);
    assert_true(v.list.n == 2 && strcmp(v.list.v[1], "2") == 0);
    assert_true(parse(&v, more, 6, argv, &n));
    assert_true(v.n == 25000000 && v.time == 1503273600 && v.zone == -12600);
    assert_true(n == 1 && strcmp(argv[0], "-") == 0);
}

static void
test_bad(void **state)
{
    static const char *const bad[][2] = { { "--nope", "" }, { "-x", "" },
        { "--flag=1", "" }, { "--number", "12q" }, { "--number", "-1" },
        { "--number", "99999999999999999999" }, { "--number", "99999999T" },
        { "--at", "yesterday" }, { "--tz", "9" }, { "-fx", "" } };
    char *argv[WORDS + 1];
    struct values v;
    int n;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_CASE(bad[i][0], !parse(&v, bad[i], 2, argv, &n));
    assert_false(parse(&v, (const char *const[]){ "--text" }, 1, argv, &n));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_good),
        NR_TEST(test_bad),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
