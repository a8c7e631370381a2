/* mail.py as a string: made by the build. Private. */
#ifndef NR_EXTRACT_MAIL_H
#define NR_EXTRACT_MAIL_H

extern const char nr_mail_script[];

#endif
