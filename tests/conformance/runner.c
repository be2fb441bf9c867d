/*
 * What a C caller sees of an answer. Reads lines "NAME FORMAT STREAMED SCRIPT" from stdin (FORMAT: an apertis_format,
 * STREAMED: 1 or 0, SCRIPT: the value of the header x-gateway), sends each to the gateway whose base URL is argv[1],
 * and prints one JSON object per line: first the streamed ones, up to 32 at once on one PULL queue, then the others.
 *
 * It judges nothing. tests/conformance.rs builds it, runs it and compares.
 */
#include <apertis.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE 32
#define PATIENCE_MS 120000
#define NAME_SIZE 256
#define SCRIPT_SIZE 512

static void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- Bytes that grow ----------------------------------------------------------- */

typedef struct bytes {
    char *data;
    size_t size, room;
} bytes;

static void put(bytes *to, const char *data, size_t size) {
    if (size > to->room - to->size) {
        to->room = (to->size + size) * 2 + 64;
        to->data = (char *)realloc(to->data, to->room);
        if (!to->data) give_up("no memory");
    }
    if (size) memcpy(to->data + to->size, data, size);
    to->size += size;
}

static void put_text(bytes *to, const char *text) { put(to, text, strlen(text)); }

static void put_number(bytes *to, long long number) {
    char digits[24];
    snprintf(digits, sizeof digits, "%lld", number);
    put_text(to, digits);
}

static void put_json(bytes *to, const char *data, size_t size) {
    size_t at;
    if (!data) {
        put_text(to, "null");
        return;
    }
    put(to, "\"", 1);
    for (at = 0; at < size; at++) {
        unsigned char byte = (unsigned char)data[at];
        char escaped[8];
        if (byte == '"' || byte == '\\') {
            put(to, "\\", 1);
            put(to, data + at, 1);
        } else if (byte < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)byte);
            put_text(to, escaped);
        } else {
            put(to, data + at, 1);
        }
    }
    put(to, "\"", 1);
}

static void put_json_text(bytes *to, const char *text) { put_json(to, text, text ? strlen(text) : 0); }

/* ---- Cases ----------------------------------------------------------------------- */

typedef struct seen {
    char name[NAME_SIZE], script[SCRIPT_SIZE];
    int32_t format;
    int streamed;
    apertis_stream *stream;
    bytes text, reasoning, refusal, calls; /* put together from the events */
    long started, retries, others, ends;
    bytes answer; /* fields of the END's response and error */
} seen;

static void put_string(bytes *to, const char *key, const char *data, size_t size) {
    put_text(to, ",\"");
    put_text(to, key);
    put_text(to, "\":");
    put_json(to, data, size);
}

static void put_string_z(bytes *to, const char *key, const char *text) { put_string(to, key, text, text ? strlen(text) : 0); }

static void put_integer(bytes *to, const char *key, long long number) {
    put_text(to, ",\"");
    put_text(to, key);
    put_text(to, "\":");
    put_number(to, number);
}

/* FNV-1a: enough to tell that two answers are the same. */
static void put_hash(bytes *to, const char *key, const char *data, size_t size) {
    uint64_t hash = UINT64_C(14695981039346656037);
    char digits[24];
    size_t at;
    for (at = 0; at < size; at++) hash = (hash ^ (unsigned char)data[at]) * UINT64_C(1099511628211);
    snprintf(digits, sizeof digits, "%08lx%08lx", (unsigned long)(hash >> 32), (unsigned long)(hash & 0xffffffffu));
    put_string_z(to, key, data ? digits : NULL);
}

static void put_response(bytes *to, const apertis_response *response) {
    static const struct { const char *name; int32_t which; } counts[] = {
        {"input", APERTIS_USAGE_INPUT},        {"output", APERTIS_USAGE_OUTPUT},           {"total", APERTIS_USAGE_TOTAL},
        {"cached_input", APERTIS_USAGE_CACHED_INPUT}, {"cache_write", APERTIS_USAGE_CACHE_WRITE}, {"reasoning", APERTIS_USAGE_REASONING},
    };
    size_t length, index;
    const char *text;
    put_text(to, ",\"response\":");
    if (!response) {
        put_text(to, "null");
        return;
    }
    text = apertis_response_text(response, &length);
    put_text(to, "{\"text\":");
    put_json(to, text, length);
    text = apertis_response_reasoning(response, &length);
    put_string(to, "reasoning", text, length);
    text = apertis_response_refusal(response, &length);
    put_string(to, "refusal", text, length);
    put_text(to, ",\"tool_calls\":[");
    for (index = 0; index < apertis_response_tool_call_count(response); index++) {
        put_text(to, index ? ",{\"id\":" : "{\"id\":");
        put_json_text(to, apertis_response_tool_call_id(response, index));
        put_string_z(to, "name", apertis_response_tool_call_name(response, index));
        text = apertis_response_tool_call_arguments(response, index, &length);
        put_string(to, "arguments", text, length);
        put_text(to, "}");
    }
    put_text(to, "]");
    put_integer(to, "finish", apertis_response_finish(response));
    put_string_z(to, "finish_reason", apertis_response_finish_reason(response));
    put_string_z(to, "id", apertis_response_id(response));
    put_string_z(to, "model", apertis_response_model(response));
    put_integer(to, "attempts", apertis_response_attempts(response));
    put_text(to, ",\"usage\":{\"_\":0");
    for (index = 0; index < sizeof counts / sizeof *counts; index++)
        put_integer(to, counts[index].name, apertis_response_usage(response, counts[index].which));
    put_text(to, "}");
    text = apertis_response_raw(response, &length);
    put_hash(to, "raw", text, length);
    text = apertis_response_json(response, &length);
    put_string(to, "json", text, length);
    put_text(to, "}");
}

static void put_error(bytes *to, const apertis_error *error) {
    put_text(to, ",\"error\":");
    if (!error) {
        put_text(to, "null");
        return;
    }
    put_text(to, "{\"status\":");
    put_json_text(to, apertis_status_name(apertis_error_status(error)));
    put_string_z(to, "message", apertis_error_message(error));
    put_integer(to, "http_status", apertis_error_http_status(error));
    put_string_z(to, "code", apertis_error_provider_code(error));
    put_string_z(to, "type", apertis_error_provider_type(error));
    put_integer(to, "attempts", apertis_error_attempts(error));
    put_text(to, "}");
}

static void look_at(seen *one, const apertis_event *event) {
    size_t length;
    const char *text = apertis_event_text(event, &length);
    switch (apertis_event_kind_of(event)) {
    case APERTIS_EVENT_STARTED: one->started++; break;
    case APERTIS_EVENT_TEXT: put(&one->text, text, length); break;
    case APERTIS_EVENT_REASONING: put(&one->reasoning, text, length); break;
    case APERTIS_EVENT_REFUSAL: put(&one->refusal, text, length); break;
    case APERTIS_EVENT_TOOL_CALL:
        put_text(&one->calls, one->calls.size ? ",{\"id\":" : "{\"id\":");
        put_json_text(&one->calls, apertis_event_tool_call_id(event));
        put_string_z(&one->calls, "name", apertis_event_tool_name(event));
        put_string(&one->calls, "arguments", text, length);
        put_text(&one->calls, "}");
        break;
    case APERTIS_EVENT_RETRY: one->retries++; break;
    case APERTIS_EVENT_OTHER: one->others++; break;
    case APERTIS_EVENT_END:
        one->ends++;
        one->answer.size = 0;
        put_response(&one->answer, apertis_event_response(event));
        put_error(&one->answer, apertis_event_error(event));
        break;
    default: break;
    }
}

static void print(const seen *one) {
    bytes line = {NULL, 0, 0};
    put_text(&line, "{\"name\":");
    put_json_text(&line, one->name);
    put(&line, one->answer.data, one->answer.size);
    if (one->streamed) {
        put_text(&line, ",\"events\":{\"text\":");
        put_json(&line, one->text.data ? one->text.data : "", one->text.size);
        put_string(&line, "reasoning", one->reasoning.data ? one->reasoning.data : "", one->reasoning.size);
        put_string(&line, "refusal", one->refusal.data ? one->refusal.data : "", one->refusal.size);
        put_text(&line, ",\"tool_calls\":[");
        put(&line, one->calls.data, one->calls.size);
        put_text(&line, "]");
        put_integer(&line, "started", one->started);
        put_integer(&line, "retries", one->retries);
        put_integer(&line, "others", one->others);
        put_integer(&line, "ends", one->ends);
        put_text(&line, "}");
    }
    put_text(&line, "}\n");
    if (fwrite(line.data, 1, line.size, stdout) != line.size) give_up("cannot write");
    free(line.data);
}

/* ---- Running --------------------------------------------------------------------- */

static apertis_request *request_of(const seen *one) {
    apertis_request *request = apertis_request_new();
    if (!request || apertis_request_set_format(request, one->format) != APERTIS_OK ||
        apertis_request_set_model(request, "m") != APERTIS_OK ||
        apertis_request_set_header(request, "x-gateway", one->script) != APERTIS_OK ||
        apertis_request_add_message(request, APERTIS_ROLE_USER, "Hello", APERTIS_NTS) != APERTIS_OK)
        give_up("%s: no request", one->name);
    return request;
}

static void start(apertis_client *client, apertis_queue *queue, seen *one) {
    apertis_request *request = request_of(one);
    apertis_error *error = NULL;
    if (apertis_client_start_on(client, request, queue, NULL, one, NULL, &one->stream, &error) != APERTIS_OK)
        give_up("%s does not start: %s", one->name, apertis_error_message(error));
    apertis_request_free(request);
}

static void run_streamed(apertis_client *client, seen *all, size_t count) {
    apertis_queue *queue = NULL;
    const apertis_event *event = NULL;
    size_t next = 0, under_way = 0, index;
    if (apertis_queue_new(APERTIS_DELIVER_PULL, &queue, NULL) != APERTIS_OK) give_up("no queue");
    for (;;) {
        int32_t status;
        for (; next < count && under_way < AT_ONCE; next++) {
            if (!all[next].streamed) continue;
            start(client, queue, &all[next]);
            under_way++;
        }
        /* After the last END nothing may follow. */
        status = apertis_queue_next(queue, under_way ? PATIENCE_MS : 100, &event);
        if (status == APERTIS_TIMEOUT && !under_way) break;
        if (status != APERTIS_OK) {
            for (index = 0; index < next; index++)
                if (all[index].streamed && !all[index].ends) fprintf(stderr, "%s has no END\n", all[index].name);
            give_up("apertis_queue_next: %s", apertis_status_name(status));
        }
        {
            seen *one = (seen *)apertis_event_user_data(event);
            if (!one || apertis_event_stream(event) != one->stream) give_up("an event of no stream");
            look_at(one, event);
            if (apertis_event_kind_of(event) == APERTIS_EVENT_END && one->ends == 1) under_way--;
        }
    }
    for (index = 0; index < count; index++) apertis_stream_free(all[index].stream);
    apertis_queue_free(queue);
}

static void run_whole(apertis_client *client, seen *one) {
    apertis_request *request = request_of(one);
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    apertis_status status = apertis_client_chat(client, request, &response, &error);
    if (status != (error ? apertis_error_status(error) : APERTIS_OK))
        give_up("%s: status %s and error %s", one->name, apertis_status_name(status), apertis_status_name(apertis_error_status(error)));
    put_response(&one->answer, response);
    put_error(&one->answer, error);
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_request_free(request);
}

static apertis_client *client_for(const char *base) {
    apertis_config *config = apertis_config_new();
    apertis_client *client = NULL;
    apertis_error *error = NULL;
    if (apertis_config_set_api_base(config, base) != APERTIS_OK || apertis_config_set_api_key(config, "sk-test") != APERTIS_OK ||
        apertis_config_set_max_retries(config, 0) != APERTIS_OK || apertis_config_set_proxy(config, "") != APERTIS_OK ||
        apertis_config_set_timeout(config, APERTIS_TIMEOUT_TOTAL, PATIENCE_MS) != APERTIS_OK ||
        apertis_client_new(config, &client, &error) != APERTIS_OK)
        give_up("no client: %s", error ? apertis_error_message(error) : "bad setting");
    apertis_config_free(config);
    return client;
}

int main(int argc, char **argv) {
    seen *all = NULL;
    size_t count = 0, index;
    char line[NAME_SIZE + SCRIPT_SIZE + 32];
    apertis_client *client;
    if (argc != 2) give_up("usage: %s BASE < cases", argv[0]);
    while (fgets(line, sizeof line, stdin)) {
        seen *one;
        int format;
        if (count % 256 == 0 && !(all = (seen *)realloc(all, (count + 256) * sizeof *all))) give_up("no memory");
        one = memset(&all[count], 0, sizeof *one);
        if (sscanf(line, "%255s %d %d %511s", one->name, &format, &one->streamed, one->script) != 4) give_up("not a case: %s", line);
        one->format = format;
        count++;
    }
    client = client_for(argv[1]);
    run_streamed(client, all, count);
    for (index = 0; index < count; index++) {
        if (!all[index].streamed) run_whole(client, &all[index]);
        print(&all[index]);
        free(all[index].text.data);
        free(all[index].reasoning.data);
        free(all[index].refusal.data);
        free(all[index].calls.data);
        free(all[index].answer.data);
    }
    apertis_client_free(client);
    free(all);
    return apertis_shutdown(10000) == APERTIS_OK ? 0 : 1;
}
