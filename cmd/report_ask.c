#include "report_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum text {
    T_WHAT,
    T_WHEN,
    T_RUNNING,
    T_TRACES,
    T_WHO,
    T_AGAIN,
};

static const char *const texts[][2] = {
    [T_WHAT] = { "1/5 What happened? (one line; only coordinators read it)\n",
        "1/5 何が起きましたか。(1行。調整機関だけが読みます)\n" },
    [T_WHEN] = { "2/5 When did you notice? (2017-08-21, 2017-08-21 09:00, "
                 "unknown)\n",
        "2/5 いつ気づきましたか。(2017-08-21、2017-08-21 09:00、不明)\n" },
    [T_RUNNING] = { "3/5 Is your work going on? (yes, partly, no, unknown)\n",
        "3/5 業務は続けられていますか。(はい、一部、いいえ、不明)\n" },
    [T_TRACES] = { "4/5 Traces of the attack, one a line, an empty line ends: "
                   "[type] value [role]\n"
                   "    role: c2 delivery exfil malware phishing-sender "
                   "credential-use scanner\n"
                   "    victim-asset contextual unknown\n",
        "4/5 攻撃の痕跡 (宛先、メール、ファイルのハッシュ値など)。1行に1つ、"
        "空行で終わり: [種別] 値 [役割]\n"
        "    役割: c2 delivery exfil malware phishing-sender credential-use "
        "scanner\n"
        "    victim-asset contextual unknown (わからなければ書かない)\n" },
    [T_WHO] = { "5/5 Who may see the traces? (clear, green, amber, "
                "amber+strict, red; empty: amber)\n",
        "5/5 痕跡を誰に見せてよいですか。(clear, green, amber, amber+strict, "
        "red。空行は amber)\n" },
    [T_AGAIN] = { "    again: ", "    もう一度: " },
};

bool
report_is_japanese(const char *lang)
{
    static const char *const names[] = { "LC_ALL", "LC_MESSAGES", "LANG" };

    for (size_t i = 0; !lang && i < sizeof(names) / sizeof(names[0]); i++) {
        lang = getenv(names[i]);
        if (lang && !*lang)
            lang = NULL;
    }
    return lang && strncmp(lang, "ja", 2) == 0;
}

static void
say(const struct report_ask *q, enum text t)
{
    (void)fputs(texts[t][q->japanese], stderr);
}

/* One line of standard input, in the arena, without blanks around it. */
static enum nr_err
read_line(const struct report_ask *q, struct nr_str *out, struct nr_diag *d)
{
    char *line = NULL, *copy = NULL;
    size_t cap = 0;
    enum nr_err err = NR_OK;
    ssize_t n;

    (void)fputs("> ", stderr);
    errno = 0;
    n = getline(&line, &cap, stdin);
    if (n < 0)
        err = nr_fail(d, NR_ETRUNC, 0,
            "report: the input ended before the five questions were answered");
    else if ((size_t)n > NR_REPORT_TEXT_MAX)
        err = nr_fail(d, NR_ELIMIT, 0, "report: a line of over 65535 octets");
    if (!err) {
        copy = nr_new(q->a, char, (size_t)n + 1);
        if (!copy)
            err = nr_fail(d, NR_ENOMEM, 0, "report: out of memory");
    }
    if (!err) {
        memcpy(copy, line, (size_t)n);
        if (!nr_str_from_utf8((struct nr_bytes){ (const uint8_t *)copy,
                                  (size_t)n },
                out))
            err = nr_fail(d, NR_EFORMAT, 0, "report: the input is not UTF-8");
        else
            *out = nr_str_trim(*out);
    }
    free(line);
    return err;
}

static void
complain(const struct report_ask *q, const struct nr_diag *why)
{
    char text[512];

    nr_diag_print(why, text, sizeof(text));
    say(q, T_AGAIN);
    (void)fprintf(stderr, "%s\n", text);
}

static enum nr_err
ask_what(const struct report_ask *q, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    say(q, T_WHAT);
    while (!err && !q->f->summary.n)
        err = read_line(q, &q->f->summary, d);
    return err;
}

static enum nr_err
ask_when(const struct report_ask *q, struct nr_diag *d)
{
    say(q, T_WHEN);
    for (;;) {
        struct nr_diag why = { 0 };
        struct nr_str s;
        enum nr_err err = read_line(q, &s, d);

        if (err ||
            nr_report_time_parse(s, q->east_s, &q->f->discovered_s,
                &q->f->discovered_fidelity, &why) == NR_OK)
            return err;
        complain(q, &why);
    }
}

static enum nr_err
ask_running(const struct report_ask *q, struct nr_diag *d)
{
    static const char *const words[][3] = { { "yes", "はい", "y" },
        { "partly", "一部", "p" }, { "no", "いいえ", "n" },
        { "unknown", "不明", "" } };

    say(q, T_RUNNING);
    for (;;) {
        struct nr_diag why = { 0 };
        struct nr_str s;
        enum nr_err err = read_line(q, &s, d);

        if (err)
            return err;
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
            for (size_t k = 0; k < 3; k++)
                if (nr_str_eq(s, nr_str_of(words[i][k]))) {
                    q->f->running = nr_str_of(words[i][0]);
                    return NR_OK;
                }
        (void)nr_fail(&why, NR_EFORMAT, 0, "none of yes, partly, no, unknown");
        complain(q, &why);
    }
}

/* A trace that names us is refused at once, not at the end. */
static enum nr_err
ask_traces(const struct report_ask *q, struct nr_diag *d)
{
    say(q, T_TRACES);
    for (;;) {
        struct nr_diag why = { 0 };
        struct nr_str s;
        size_t n = q->f->n_traces;
        enum nr_err err = read_line(q, &s, d);

        if (err || (!s.n && n))
            return err;
        if (!s.n)
            continue;
        err = nr_report_add_trace(q->a, q->f, s, &why);
        if (!err && q->f->traces[n].role != NR_ROLE_VICTIM_ASSET)
            err = nr_report_check(q->f, q->own, q->n_own, &why);
        if (!err)
            continue;
        q->f->n_traces = n;
        complain(q, &why);
    }
}

static enum nr_err
ask_who(const struct report_ask *q, struct nr_diag *d)
{
    say(q, T_WHO);
    for (;;) {
        struct nr_diag why = { 0 };
        struct nr_str s;
        enum nr_err err = read_line(q, &s, d);

        if (err || !s.n || nr_tlp_parse(s, &q->f->tlp_tech))
            return err;
        (void)nr_fail(&why, NR_EFORMAT, 0,
            "tlp: none of clear, green, amber, amber+strict, red");
        complain(q, &why);
    }
}

enum nr_err
report_ask(const struct report_ask *q, struct nr_diag *d)
{
    enum nr_err err = ask_what(q, d);

    if (!err)
        err = ask_when(q, d);
    if (!err)
        err = ask_running(q, d);
    if (!err)
        err = ask_traces(q, d);
    return err ? err : ask_who(q, d);
}

void
report_told(bool japanese, const char *program, const char *id)
{
    (void)fprintf(stderr,
        japanese ? "保存しました。送るには: %s report send %s\n"
                 : "Kept. To send it: %s report send %s\n",
        program, id);
}
