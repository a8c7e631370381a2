/* The dialogue of `noroshi report new`. */
#ifndef REPORT_ASK_H
#define REPORT_ASK_H

#include "report/report.h"

struct report_ask {
    struct nr_arena *a;
    struct nr_report_form *f;
    int64_t east_s;
    const struct nr_str *own; /* domains of the home */
    size_t n_own;
    bool japanese;
};

/* LANG is what --lang said; NULL: LC_ALL, LC_MESSAGES, LANG say it. */
bool report_is_japanese(const char *lang);

/* Ask on standard error, read standard input. What cannot be taken is said at
 * once and asked again. NR_ETRUNC: the input ended before the last answer. */
enum nr_err report_ask(const struct report_ask *q,
    struct nr_diag *d) NR_MUST_USE;

/* Say what to do next. */
void report_told(bool japanese, const char *program, const char *id);

#endif
