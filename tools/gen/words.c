#include "words.h"

const char *const gen_host_prefixes[32] = { "www", "www", "www", "www", "www",
    "", "", "api", "cdn", "static", "img", "mail", "app", "m", "assets",
    "login", "news", "ads", "tracker", "update", "dl", "s1", "edge", "video",
    "blog", "shop", "sso", "stats", "js", "mx1", "ns1", "pixel" };

const char *const gen_words[64] = { "index", "news", "images", "assets",
    "static", "user", "login", "search", "article", "product", "item", "view",
    "download", "js", "css", "api", "v1", "v2", "data", "list", "detail",
    "page", "category", "tag", "media", "video", "thumb", "feed", "ajax",
    "content", "wp-content", "uploads", "themes", "plugins", "report", "file",
    "docs", "help", "about", "contact", "recruit", "company", "research",
    "press", "event", "calendar", "map", "photo", "cart", "order", "account",
    "profile", "session", "track", "collect", "beacon", "sync", "update",
    "check", "config", "library", "member", "service", "support" };

const char *const gen_exts[12] = { ".html", ".php", ".js", ".css", ".png",
    ".jpg", ".gif", ".json", "", "", "", "/" };

const char *const gen_uas[16] = {
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Chrome/51.0.2704.103 Safari/537.36",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 9_3_2 like Mac OS X) "
    "AppleWebKit/601.1.46 (KHTML, like Gecko) Version/9.0 Mobile/13F69 "
    "Safari/601.1",
    "Mozilla/5.0 (Windows NT 6.1; WOW64; rv:45.0) Gecko/20100101 Firefox/45.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_11_5) AppleWebKit/601.6.17 "
    "(KHTML, like Gecko) Version/9.1.1 Safari/601.6.17",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
    "Mozilla/5.0 (Linux; Android 6.0.1; SO-02H Build/32.1.F.1.38) "
    "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/51.0.2704.81 Mobile "
    "Safari/537.36",
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Microsoft-CryptoAPI/6.1", "Microsoft BITS/7.5",
    "Windows-Update-Agent/7.6.7601.23453", "curl/7.47.0",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0)",
    "python-requests/2.10.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like "
    "Gecko) Chrome/58.0.3029.110 Safari/537.36 Edge/16.16299",
    "Mozilla/5.0 (compatible; Baiduspider/2.0; "
    "+http://www.baidu.com/search/spider.html)"
};

const char *const gen_given_names[16] = { "haruto", "yui", "sota", "aoi", "ren",
    "hina", "yuto", "rin", "kaito", "mei", "riku", "sakura", "daiki", "miyu",
    "takumi", "nana" };

const char *const gen_family_names[16] = { "sato", "suzuki", "takahashi",
    "tanaka", "ito", "watanabe", "yamamoto", "nakamura", "kobayashi", "kato",
    "yoshida", "yamada", "sasaki", "yamaguchi", "matsumoto", "inoue" };

const char *const gen_bad_tlds[16] = { "com", "com", "com", "net", "org",
    "info", "top", "xyz", "ru", "cn", "pw", "club", "tk", "biz", "jp", "kr" };

const char *const gen_lures[20] = { "secure", "update", "login", "mail",
    "account", "verify", "office", "cloud", "doc", "share", "portal", "support",
    "system", "service", "win", "flash", "adobe", "news", "job", "invoice" };
