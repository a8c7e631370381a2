# A mail, or an mbox of them, from standard input, as frames "KIND LENGTH\n" and
# LENGTH octets: text (UTF-8), html, pdf, or other (an attachment not read, by
# its type).
import email
import email.header
import re
import sys

QUIET = ("image/", "audio/", "video/", "font/",
         "application/pgp-signature", "application/pkcs7-signature",
         "application/x-pkcs7-signature")
HTML = re.compile(rb"\s*(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
                  re.I | re.S)


def frame(kind, octets):
    sys.stdout.buffer.write(b"%s %d\n" % (kind, len(octets)) + octets)


def text(s):
    frame(b"text", s.encode("utf-8", "replace"))


def decoded(octets, charset):
    try:
        return octets.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        return octets.decode("latin-1")


def header(value):
    out = []
    try:
        for piece, charset in email.header.decode_header(value):
            out.append(piece if isinstance(piece, str)
                       else decoded(piece, charset or "utf-8"))
    except (email.errors.MessageError, ValueError):
        return str(value)
    return "".join(out)


def fields(part):
    lines = []
    for name, value in part.items():
        lines.append("%s: %s\n" % (name, " ".join(header(value).split())))
    name = part.get_filename()
    if name:
        lines.append("filename: %s\n" % " ".join(header(name).split()))
    text("".join(lines))


def leaf(part):
    kind = part.get_content_type()
    octets = part.get_payload(decode=True) or b""
    charset = part.get_content_charset()
    if octets.startswith(b"%PDF-"):
        frame(b"pdf", octets)
    elif kind in ("text/html", "application/xhtml+xml") or HTML.match(octets[:4096]):
        frame(b"html", decoded(octets, charset).encode("utf-8", "replace"))
    elif kind.startswith(("text/", "message/", "multipart/")):
        text(decoded(octets, charset) + "\n")
    elif not kind.startswith(QUIET):
        try:
            if b"\0" in octets:
                raise ValueError
            text(octets.decode(charset or "utf-8") + "\n")
        except (LookupError, ValueError):
            frame(b"other", kind.encode("ascii", "replace"))


def message(octets):
    if not octets:
        return
    for part in email.message_from_bytes(octets).walk():
        fields(part)
        text("%s\n" % (part.preamble or ""))
        if not part.is_multipart():
            leaf(part)
        text("%s\n" % (part.epilogue or ""))


lines, mbox, blank = [], False, True
for line in sys.stdin.buffer:
    if line.startswith(b"From ") and blank and (mbox or not lines):
        message(b"".join(lines))
        lines, mbox = [], True
    else:
        lines.append(line)
    blank = line in (b"\n", b"\r\n")
message(b"".join(lines))
