/*
 * The words that names, paths, people and programs are made of.
 */
#ifndef GEN_WORDS_H
#define GEN_WORDS_H

extern const char *const gen_host_prefixes[32];
extern const char *const gen_words[64];
extern const char *const gen_exts[12];
extern const char *const gen_uas[16];
extern const char *const gen_given_names[16];
extern const char *const gen_family_names[16];
extern const char *const gen_bad_tlds[16];
extern const char *const gen_lures[20];

#endif
