/* Where on the wire a fault happens: the gateway is asked for the undamaged answer once, and what comes is looked through. */
#include "fault.h"

enum { AT_FRAME, AT_CHARACTER, AT_GZIP, AT_CHUNK, IN_BODY, CUTS };
static const char *const names[CUTS] = { "{FRAME}", "{CHARACTER}", "{GZIP}", "{CHUNK}", "{BODY}" };
static const char *const paths[FORMATS] = { "chat/completions", "responses", "messages" };

/* Bytes of the body as they stand on the wire, chunk headers included; {BODY} is {FRAME} without these. */
static long places[FORMATS][ASKINGS][CUTS];

typedef struct wire {
    char *bytes;
    size_t length;
} wire;

/* What the library sends for this script, sent again by a plain socket; the body of the answer as it stands on the wire. */
static wire fetch(int format, const char *body, const char *script) {
    wire all = { NULL, 0 }, answer;
    struct sockaddr_in address;
    ssize_t got;
    size_t room = 0;
    char *request = story_format("POST /v1/%s HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\nx-gateway: %s\r\n"
                                 "content-type: application/json\r\ncontent-length: %lu\r\n\r\n%s",
                                 paths[format], script, (unsigned long)strlen(body), body);
    int handle = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(handle >= 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)story_port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(connect(handle, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(write(handle, request, strlen(request)) == (ssize_t)strlen(request));
    do {
        if (room - all.length < 65536) all.bytes = (char *)realloc(all.bytes, room += 131072);
        CHECK(all.bytes != NULL);
        got = read(handle, all.bytes + all.length, room - all.length - 1);
        if (got > 0) all.length += (size_t)got;
    } while (got > 0 || (got < 0 && errno == EINTR));
    close(handle);
    all.bytes[all.length] = '\0';
    story_keep(all.bytes);
    answer.bytes = strstr(all.bytes, "\r\n\r\n");
    CHECK(answer.bytes != NULL);
    answer.bytes += 4;
    answer.length = all.length - (size_t)(answer.bytes - all.bytes);
    return answer;
}

/* The n-th chunk, its header included; its data is behind `*data`. */
static size_t chunk(const wire *body, size_t number, size_t *data, size_t *size) {
    size_t at = 0;
    for (;;) {
        char *end = NULL;
        *size = strtoul(body->bytes + at, &end, 16);
        CHECK(end != NULL && *size > 0);
        *data = (size_t)(end - body->bytes) + 2;
        if (number-- == 0) return at;
        at = *data + *size + 2;
        CHECK(at < body->length);
    }
}

/* The number of the chunk that holds a byte. */
static size_t chunk_with(const wire *body, size_t byte) {
    size_t number = 0, data, size;
    for (; chunk(body, number, &data, &size), data + size <= byte; number++) continue;
    return number;
}

/* How many bytes of data there are before byte `byte` of the wire. */
static long data_before(const wire *body, size_t byte) {
    size_t number = 0, data = 0, size = 0;
    long sum = 0;
    for (; chunk(body, number, &data, &size), data + size <= byte; number++) sum += (long)size;
    return sum + (long)(byte - data);
}

static void learn(apertis_client *client, int format, asking as) {
    apertis_request *request = apertis_request_new();
    char *script = story_format("say=%s;id=fixed;length=0;key=cut-%d-%d%s", story_encode(ALL), format, (int)as, as == JSON ? ";json=1" : "");
    char *sent;
    const char *fourth, *fifth;
    wire plain, squeezed;
    size_t number, data, size;
    long *to = places[format][as];
    apertis_error *error = NULL;

    CHECK_STATUS(apertis_request_set_format(request, format + 1), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_header(request, "x-gateway", script), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_message(request, APERTIS_ROLE_USER, "Hello", APERTIS_NTS), APERTIS_OK);
    if (as == WHOLE) CHECK_OK(apertis_client_chat(client, request, NULL, &error), error);
    else CHECK_OK(apertis_client_chat_stream(client, request, NULL, NULL, NULL, &error), error);
    apertis_request_free(request);
    sent = story_json(story_http_get(story_format("/_log?key=cut-%d-%d", format, (int)as)), "0/raw");
    CHECK(sent != NULL);

    plain = fetch(format, sent, script);
    fourth = strstr(plain.bytes, "w4\xE2\x82\xAC");
    fifth = strstr(plain.bytes, "w5");
    CHECK(fourth != NULL && fifth > fourth);
    to[AT_CHARACTER] = (long)(fourth - plain.bytes) + 3;            /* behind the first byte of its sign */
    to[AT_FRAME] = (long)(fifth - plain.bytes);
    to[IN_BODY] = data_before(&plain, (size_t)(fifth - plain.bytes));
    number = chunk_with(&plain, (size_t)(fourth - plain.bytes));
    to[AT_CHUNK] = (long)chunk(&plain, number, &data, &size) + 1;    /* behind the first digit of its size */
    squeezed = fetch(format, sent, story_format("%s;gzip=1", script));
    chunk(&squeezed, number, &data, &size);
    to[AT_GZIP] = (long)(data + size / 2);
}

void cut_learn(apertis_client *client) {
    int format, as;
    for (format = 0; format < FORMATS; format++)
        for (as = WHOLE; as < ASKINGS; as++) learn(client, format, (asking)as);
}

/* `text` with one name replaced, all over. */
static char *replaced(char *text, const char *name, const char *by) {
    char *at;
    while ((at = strstr(text, name)) != NULL) text = story_format("%.*s%s%s", (int)(at - text), text, by, at + strlen(name));
    return text;
}

const char *cut_key(int number) { return story_format("fault-%d", number); }

const char *cut_script(const fault *one, int format, asking as, int number) {
    char date[64];
    time_t soon = time(NULL) + 3;
    struct tm parts;
    char *script;
    int cut;
    if (one->to == RAW_SERVER || one->to == NO_HTTP) return one->script;
    script = story_format("say=%s;id=fixed;%s%skey=%s", story_encode(ALL), one->script, *one->script ? ";" : "", cut_key(number));
    if (as == JSON) script = story_format("%s;json=1", script);
    if (!strchr(one->script, '{')) return script;
    for (cut = 0; cut < CUTS; cut++) script = replaced(script, names[cut], story_format("%ld", places[format][as][cut]));
    gmtime_r(&soon, &parts);
    CHECK(strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
    script = replaced(script, "{DATE}", story_encode(date));
    script = replaced(script, "{PATH}", story_format("/%s", paths[format]));
    if (strstr(script, "{DEEP EVENT}")) script = replaced(script, "{DEEP EVENT}", story_format("body=data: %%7B\"type\":\"response.created\",\"choices\":%s%%0A%%0A", story_repeat("[", 100000)));
    if (strstr(script, "{DEEP TOOL}")) script = replaced(script, "{DEEP TOOL}", story_format("tool=deep:%s%s", story_repeat("[", 100000), story_repeat("]", 100000)));
    if (strstr(script, "{TOOLS}")) script = replaced(script, "{TOOLS}", story_format("tool_deltas=1%s", story_repeat(";tool=f:%7B%7D", 10000)));
    if (strstr(script, "{BLANKS}")) script = replaced(script, "{BLANKS}", story_format("body=%s%%0A;body_repeat=1048576", story_repeat("%20", 1023)));
    return replaced(script, "{BASE2}", story_encode(getenv("APERTIS_TEST_OTHER_BASE") ? getenv("APERTIS_TEST_OTHER_BASE") : ""));
}
