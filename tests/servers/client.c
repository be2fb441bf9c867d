/*
 * What a C caller sees of servers that are not ours. client SERVER BASE KEY: SERVER is litellm or aimock, BASE its URL, KEY
 * a key that it takes. Runs every check in the three formats, in one piece and streamed, prints a table (a dot: the server
 * cannot do that), says of each failure what was expected and what was seen, and ends with "SERVER: N passed, N failed".
 *
 * The answers are written in aimock/fixtures.json and litellm/config.yaml; a user message "case:text" chooses one.
 */
#include <apertis.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHAT = 1 | 2, RESPONSES = 4 | 8, MESSAGES = 16 | 32, ALL = 63, WHOLE = 1 | 4 | 16, STREAMED = 2 | 8 | 32 };

static const char *const COLUMNS[6] = {"chat", "streamed", "responses", "streamed", "messages", "streamed"};

static const char *base, *key;
static int passed, failed;

static void die(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(2);
}

/* ---- Bytes that grow, and JSON without its freedoms -------------------------------------- */

typedef struct bytes {
    char *data;
    size_t size;
} bytes;

static void put(bytes *to, const char *data, size_t size) {
    to->data = (char *)realloc(to->data, to->size + size + 1);
    if (!to->data) die("no memory");
    if (size) memcpy(to->data + to->size, data, size);
    to->size += size;
    to->data[to->size] = 0;
}

static void put_text(bytes *to, const char *text) { put(to, text ? text : "(null)", text ? strlen(text) : 6); }

static void put_code_point(bytes *to, unsigned long c) {
    char utf8[4];
    size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4, at;
    for (at = size - 1; at > 0; at--, c >>= 6) utf8[at] = (char)(0x80 | (c & 0x3f));
    utf8[0] = (char)(size == 1 ? c : c | (0xf00u >> size & 0xff));
    put(to, utf8, size);
}

/* Without blanks between tokens, and with \uXXXX above ASCII as what it stands for: servers spell arguments anew. */
static void put_compact(bytes *to, const char *json) {
    int quoted = 0;
    for (; *json; json++) {
        unsigned int high, low;
        if (*json == '"') quoted = !quoted;
        if (!quoted && strchr(" \t\r\n", *json)) continue;
        if (quoted && sscanf(json, "\\u%4x", &high) == 1 && high >= 0x80) {
            if (high >= 0xd800 && high < 0xdc00 && sscanf(json + 6, "\\u%4x", &low) == 1) {
                put_code_point(to, 0x10000ul + ((unsigned long)(high - 0xd800) << 10) + (low - 0xdc00));
                json += 11;
            } else {
                put_code_point(to, high);
                json += 5;
            }
            continue;
        }
        put(to, json, 1);
        if (quoted && *json == '\\' && json[1]) put(to, ++json, 1);
    }
}

/* ---- One question, and what was seen of the answer ------------------------------------------ */

typedef struct seen {
    int32_t status, http_status, finish, attempts;
    char error[512];
    bytes text, reasoning, calls;    /* of the response; calls as "id name arguments", a line each */
    bytes told, told_reasoning, told_calls; /* of the events */
    int started, retries, ends, late;
    int64_t input, output, total, cached, reasoning_tokens;
} seen;

static void put_call(bytes *to, const char *id, const char *name, const char *arguments) {
    if (to->size) put(to, "\n", 1);
    put_text(to, id);
    put(to, " ", 1);
    put_text(to, name);
    put(to, " ", 1);
    put_compact(to, arguments ? arguments : "(null)");
}

static void on_event(void *user_data, const apertis_event *event) {
    seen *saw = (seen *)user_data;
    size_t length;
    const char *text = apertis_event_text(event, &length);
    if (saw->ends) saw->late++;
    switch (apertis_event_kind_of(event)) {
    case APERTIS_EVENT_STARTED: saw->started++; break;
    case APERTIS_EVENT_TEXT: put(&saw->told, text, length); break;
    case APERTIS_EVENT_REASONING: put(&saw->told_reasoning, text, length); break;
    case APERTIS_EVENT_TOOL_CALL: put_call(&saw->told_calls, apertis_event_tool_call_id(event), apertis_event_tool_name(event), text); break;
    case APERTIS_EVENT_RETRY: saw->retries++; break;
    case APERTIS_EVENT_END: saw->ends++; break;
    default: break;
    }
}

static void look_at(seen *saw, const apertis_response *response, const apertis_error *error) {
    size_t length, index;
    const char *text;
    saw->http_status = apertis_error_http_status(error); /* 0 where there is no error */
    saw->attempts = error ? apertis_error_attempts(error) : apertis_response_attempts(response);
    if (error) snprintf(saw->error, sizeof saw->error, "%s", apertis_error_message(error));
    put(&saw->text, "", 0);
    put(&saw->reasoning, "", 0);
    put(&saw->calls, "", 0);
    put(&saw->told, "", 0);
    put(&saw->told_reasoning, "", 0);
    put(&saw->told_calls, "", 0);
    if (!response) return;
    text = apertis_response_text(response, &length);
    put(&saw->text, text, length);
    text = apertis_response_reasoning(response, &length);
    put(&saw->reasoning, text, length);
    for (index = 0; index < apertis_response_tool_call_count(response); index++)
        put_call(&saw->calls, apertis_response_tool_call_id(response, index), apertis_response_tool_call_name(response, index),
                 apertis_response_tool_call_arguments(response, index, NULL));
    saw->finish = apertis_response_finish(response);
    saw->input = apertis_response_usage(response, APERTIS_USAGE_INPUT);
    saw->output = apertis_response_usage(response, APERTIS_USAGE_OUTPUT);
    saw->total = apertis_response_usage(response, APERTIS_USAGE_TOTAL);
    saw->cached = apertis_response_usage(response, APERTIS_USAGE_CACHED_INPUT);
    saw->reasoning_tokens = apertis_response_usage(response, APERTIS_USAGE_REASONING);
}

static void forget(seen *saw) {
    free(saw->text.data);
    free(saw->reasoning.data);
    free(saw->calls.data);
    free(saw->told.data);
    free(saw->told_reasoning.data);
    free(saw->told_calls.data);
}

static apertis_client *client_with(const char *its_key, int32_t retries) {
    apertis_config *config = apertis_config_new();
    apertis_client *client = NULL;
    apertis_error *error = NULL;
    if (apertis_config_set_api_base(config, base) != APERTIS_OK || apertis_config_set_api_key(config, its_key) != APERTIS_OK ||
        apertis_config_set_proxy(config, "") != APERTIS_OK || apertis_config_set_max_retries(config, retries) != APERTIS_OK ||
        apertis_config_set_timeout(config, APERTIS_TIMEOUT_TOTAL, 60000) != APERTIS_OK ||
        apertis_client_new(config, &client, &error) != APERTIS_OK)
        die("no client: %s", error ? apertis_error_message(error) : "a bad setting");
    apertis_config_free(config);
    return client;
}

static const char WEATHER[] = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"unit\":{\"type\":\"string\"}},\"required\":[\"city\"]}";

static apertis_request *request_for(int column, const char *model, const char *prompt, int with_tools) {
    apertis_request *request = apertis_request_new();
    char run[32];
    /* aimock counts "the first time, the second time" for each X-Test-Id. */
    snprintf(run, sizeof run, "column-%d", column);
    if (apertis_request_set_format(request, column / 2 + 1) != APERTIS_OK || apertis_request_set_model(request, model) != APERTIS_OK ||
        apertis_request_add_message(request, APERTIS_ROLE_USER, prompt, APERTIS_NTS) != APERTIS_OK ||
        apertis_request_set_header(request, "X-Test-Id", run) != APERTIS_OK)
        die("no request");
    if (with_tools && (apertis_request_add_tool(request, "get_weather", "The weather of a city", WEATHER) != APERTIS_OK ||
                       apertis_request_add_tool(request, "ping", NULL, NULL) != APERTIS_OK))
        die("no tools");
    return request;
}

/* Sends and looks; `response` may be NULL. */
static void send(apertis_client *client, const apertis_request *request, int streamed, seen *saw, apertis_response **response) {
    apertis_response *answer = NULL;
    apertis_error *error = NULL;
    memset(saw, 0, sizeof *saw);
    saw->status = streamed ? apertis_client_chat_stream(client, request, on_event, saw, &answer, &error)
                           : apertis_client_chat(client, request, &answer, &error);
    look_at(saw, answer, error);
    apertis_error_free(error);
    if (response)
        *response = answer;
    else
        apertis_response_free(answer);
}

/* ---- Judging ------------------------------------------------------------------------------------ */

static const char *check_name;
static int check_column;
static int check_failed;
static bytes complaints;

static void complain(const char *format, ...) {
    char line[1400];
    va_list arguments;
    int length = snprintf(line, sizeof line, "  FAIL %s, %s%s: ", check_name, COLUMNS[check_column & ~1], check_column & 1 ? " streamed" : "");
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - (size_t)length, format, arguments);
    va_end(arguments);
    put_text(&complaints, line);
    put(&complaints, "\n", 1);
    check_failed = 1;
}

static void same_text(const char *what, const bytes *saw, const char *expected, size_t size) {
    if (saw->size != size || memcmp(saw->data, expected, size) != 0)
        complain("%s: expected %lu bytes \"%s\", saw %lu bytes \"%s\"", what, (unsigned long)size, expected, (unsigned long)saw->size, saw->data);
}

static void same_number(const char *what, long long saw, long long expected) {
    if (saw != expected) complain("%s: expected %lld, saw %lld", what, expected, saw);
}

static void same_status(const seen *saw, int32_t expected) {
    if (saw->status != expected) complain("expected %s, saw %s (%s)", apertis_status_name(expected), apertis_status_name(saw->status), saw->error);
}

/* What a stream told is what its response says. */
static void consistent(const seen *saw, int streamed) {
    if (!streamed) return;
    same_number("ENDs", saw->ends, 1);
    same_number("events after END", saw->late, 0);
    same_text("text of the events", &saw->told, saw->text.data, saw->text.size);
    if (saw->status == APERTIS_OK) {
        same_number("STARTEDs", saw->started, 1);
        same_text("reasoning of the events", &saw->told_reasoning, saw->reasoning.data, saw->reasoning.size);
    }
}

/* ---- Checks that are a question and an answer ----------------------------------------------------- */

typedef struct check {
    const char *name, *model, *prompt;
    int where; /* the columns, a bit each */
    int32_t status, http_status; /* http_status 0: whatever it is */
    const char *text;
    size_t text_size;
    const char *reasoning, *calls; /* NULL: none */
    int32_t finish;
} check;

#define TEXT(text) text, sizeof text - 1
#define NO_TEXT "", 0
#define ANSWER APERTIS_OK, 0
#define CALL_PARIS "call_paris_1 get_weather {\"city\":\"Paris\",\"unit\":\"c\"}"
#define CALL_TOKYO "call_tokyo_2 get_weather {\"city\":\"東京\",\"unit\":\"f\"}"
#define THOUGHTS "First I consider the question. Then I answer."
#define MOCK_TEXT "Hello from LiteLLM mock. The quick brown fox jumps over the lazy dog."
#define UP_TEXT "Hello from aimock. The quick brown fox jumps over the lazy dog."
#define UNICODE "naïve café — 日本語 🎉👩‍👩‍👧 "
#define UNICODE_END "\"quoted\" \\back\\ \n newline\ttab"

static const check AIMOCK[] = {
    {"text", "m", "case:text", ALL, ANSWER, TEXT(UP_TEXT), NULL, NULL, APERTIS_FINISH_STOP},
    {"unicode, NUL in it", "m", "case:unicode", ALL, ANSWER, TEXT(UNICODE "\0nul? \xe2\x80\xa8" "sep " UNICODE_END), NULL, NULL, APERTIS_FINISH_STOP},
    {"long, slow", "m", "case:long", ALL, ANSWER,
     TEXT("Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna "
          "aliqua. Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip ex ea commodo consequat."),
     NULL, NULL, APERTIS_FINISH_STOP},
    {"tool", "m", "case:tool", ALL, ANSWER, NO_TEXT, NULL, CALL_PARIS, APERTIS_FINISH_TOOL_CALLS},
    {"parallel tools", "m", "case:parallel", ALL, ANSWER, NO_TEXT, NULL, CALL_PARIS "\n" CALL_TOKYO, APERTIS_FINISH_TOOL_CALLS},
    {"tool without arguments", "m", "case:noargs", ALL, ANSWER, NO_TEXT, NULL, "call_ping_1 ping {}", APERTIS_FINISH_TOOL_CALLS},
    {"text and tool", "m", "case:mixed", ALL, ANSWER, TEXT("Let me look that up."), NULL,
     "call_paris_1 get_weather {\"city\":\"Paris\"}", APERTIS_FINISH_TOOL_CALLS},
    {"text between tools", "m", "case:interleaved", ALL, ANSWER, TEXT("text between tools"), NULL,
     "call_a get_weather {\"city\":\"Paris\"}\ncall_b ping {}", APERTIS_FINISH_TOOL_CALLS},
    {"reasoning", "m", "case:reasoning", ALL, ANSWER, TEXT("42"), THOUGHTS, NULL, APERTIS_FINISH_STOP},
    {"redacted reasoning", "m", "case:redacted", ALL, ANSWER, TEXT("done"), "Some visible thinking.", NULL, APERTIS_FINISH_STOP},
    {"web search", "m", "case:websearch", ALL, ANSWER, TEXT("Searched and found."), NULL, NULL, APERTIS_FINISH_STOP},
    {"cut by its length", "m", "case:length", CHAT | MESSAGES, ANSWER, TEXT("This answer was cut o"), NULL, NULL, APERTIS_FINISH_LENGTH},
    /* aimock says "incomplete" and not why. */
    {"incomplete", "m", "case:length", RESPONSES, ANSWER, TEXT("This answer was cut o"), NULL, NULL, APERTIS_FINISH_UNKNOWN},
    {"content filter", "m", "case:filter", CHAT, ANSWER, NO_TEXT, NULL, NULL, APERTIS_FINISH_CONTENT_FILTER},
    {"JSON", "m", "case:json", ALL, ANSWER, TEXT("{\"name\":\"Ada\",\"age\":36}"), NULL, NULL, APERTIS_FINISH_STOP},
    {"empty", "m", "case:empty", ALL, ANSWER, NO_TEXT, NULL, NULL, APERTIS_FINISH_STOP},
    {"429", "m", "err:429", ALL, APERTIS_ERROR_RATE_LIMITED, 429, NO_TEXT, NULL, NULL, 0},
    {"context error", "m", "err:400", ALL, APERTIS_ERROR_CONTEXT_LENGTH, 400, NO_TEXT, NULL, NULL, 0},
    {"401", "m", "err:401", ALL, APERTIS_ERROR_AUTHENTICATION, 401, NO_TEXT, NULL, NULL, 0},
    {"404", "m", "err:404", ALL, APERTIS_ERROR_NOT_FOUND, 404, NO_TEXT, NULL, NULL, 0},
    {"500", "m", "err:500", ALL, APERTIS_ERROR_SERVER, 500, NO_TEXT, NULL, NULL, 0},
    {"529", "m", "err:529", ALL, APERTIS_ERROR_OVERLOADED, 529, NO_TEXT, NULL, NULL, 0},
    {"429 out of chaos", "m", "chaos:ratelimit", ALL, APERTIS_ERROR_RATE_LIMITED, 429, NO_TEXT, NULL, NULL, 0},
    {"broken JSON", "m", "chaos:malformed", ALL, APERTIS_ERROR_PROTOCOL, 200, NO_TEXT, NULL, NULL, 0},
    {NULL, NULL, NULL, 0, 0, 0, NULL, 0, NULL, NULL, 0},
};

static const check LITELLM[] = {
    /* Inside LiteLLM. It streams no mocks in Responses, and answers Messages in one piece even where a stream was asked for. */
    {"mock: text", "mock-text", "hi", CHAT | MESSAGES | (RESPONSES & WHOLE), ANSWER, TEXT(MOCK_TEXT), NULL, NULL, APERTIS_FINISH_STOP},
    {"mock: unicode", "mock-unicode", "hi", CHAT | MESSAGES | (RESPONSES & WHOLE), ANSWER, TEXT(UNICODE UNICODE_END), NULL, NULL, APERTIS_FINISH_STOP},
    {"mock: claude", "mock-claude", "hi", CHAT | MESSAGES | (RESPONSES & WHOLE), ANSWER, TEXT("Hello from LiteLLM mock (anthropic)."), NULL, NULL, APERTIS_FINISH_STOP},
    {"mock: tools", "mock-tools", "hi", CHAT & WHOLE, ANSWER, TEXT("tool call follows"), NULL,
     "call_mock_1 get_weather {\"city\":\"Paris\"}\ncall_mock_2 get_weather {\"city\":\"Tokyo\"}", APERTIS_FINISH_TOOL_CALLS},
    {"mock: 429", "mock-ratelimit", "hi", CHAT | MESSAGES, APERTIS_ERROR_RATE_LIMITED, 429, NO_TEXT, NULL, NULL, 0},
    {"mock: context error", "mock-context", "hi", CHAT | MESSAGES, APERTIS_ERROR_CONTEXT_LENGTH, 400, NO_TEXT, NULL, NULL, 0},
    {"mock: 500", "mock-500", "hi", CHAT | MESSAGES, APERTIS_ERROR_SERVER, 500, NO_TEXT, NULL, NULL, 0},
    {"mock: its own timeout", "mock-timeout", "hi", CHAT, APERTIS_ERROR_TIMED_OUT, 408, NO_TEXT, NULL, NULL, 0},
    {"mock: error sent as a stream", "mock-text", "hi", RESPONSES & STREAMED, APERTIS_ERROR_SERVER, 500, NO_TEXT, NULL, NULL, 0},
    {"no such model", "nosuch", "hi", ALL, APERTIS_ERROR_BAD_REQUEST, 400, NO_TEXT, NULL, NULL, 0},
    {"dead upstream", "up-dead", "hi", ALL, APERTIS_ERROR_SERVER, 500, NO_TEXT, NULL, NULL, 0},
#define UPSTREAM(model) \
    {model ": text", model, "case:text", ALL, ANSWER, TEXT(UP_TEXT), NULL, NULL, APERTIS_FINISH_STOP}, \
    {model ": tool", model, "case:tool", ALL, ANSWER, NO_TEXT, NULL, CALL_PARIS, APERTIS_FINISH_TOOL_CALLS}, \
    {model ": parallel tools", model, "case:parallel", ALL, ANSWER, NO_TEXT, NULL, CALL_PARIS "\n" CALL_TOKYO, APERTIS_FINISH_TOOL_CALLS}, \
    {model ": reasoning", model, "case:reasoning", ALL, ANSWER, TEXT("42"), THOUGHTS, NULL, APERTIS_FINISH_STOP}, \
    {model ": cut by its length", model, "case:length", CHAT | MESSAGES, ANSWER, TEXT("This answer was cut o"), NULL, NULL, APERTIS_FINISH_LENGTH}, \
    {model ": 429", model, "err:429", ALL, APERTIS_ERROR_RATE_LIMITED, 429, NO_TEXT, NULL, NULL, 0}, \
    {model ": context error", model, "err:400", ALL, APERTIS_ERROR_CONTEXT_LENGTH, 400, NO_TEXT, NULL, NULL, 0}, \
    {model ": 401", model, "err:401", ALL, APERTIS_ERROR_AUTHENTICATION, 401, NO_TEXT, NULL, NULL, 0}
    UPSTREAM("up-chat"),
    UPSTREAM("up-openai"),
    UPSTREAM("up-anthropic"),
    {"up-anthropic: incomplete", "up-anthropic", "case:length", RESPONSES, ANSWER, TEXT("This answer was cut o"), NULL, NULL, APERTIS_FINISH_LENGTH},
    {NULL, NULL, NULL, 0, 0, 0, NULL, 0, NULL, NULL, 0},
};

static void judge(const check *one, const seen *saw, int streamed) {
    const char *calls = one->calls ? one->calls : "", *reasoning = one->reasoning ? one->reasoning : "";
    same_status(saw, one->status);
    if (saw->status != one->status) return;
    same_text("text", &saw->text, one->text, one->text_size);
    same_text("reasoning", &saw->reasoning, reasoning, strlen(reasoning));
    same_text("tool calls", &saw->calls, calls, strlen(calls));
    same_number("attempts", saw->attempts, 1);
    if (one->status == APERTIS_OK) {
        same_number("finish", saw->finish, one->finish);
        if (streamed) same_text("tool calls of the events", &saw->told_calls, calls, strlen(calls));
    } else {
        same_number("HTTP status", saw->http_status, one->http_status);
        if (!saw->error[0]) complain("the error has no message");
    }
    consistent(saw, streamed);
}

/* ---- Checks that are a story ------------------------------------------------------------------------ */

typedef void story_fn(const char *model, int column);

static void a_tool_turn(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:tool", 1);
    apertis_response *response = NULL;
    seen saw;
    send(client, request, column & 1, &saw, &response);
    same_status(&saw, APERTIS_OK);
    if (response && apertis_response_tool_call_count(response) == 1) {
        if (apertis_request_add_response(request, response) != APERTIS_OK ||
            apertis_request_add_tool_result(request, apertis_response_tool_call_id(response, 0), "21 degrees", APERTIS_NTS, 0) != APERTIS_OK)
            complain("the turn cannot be added");
        forget(&saw);
        send(client, request, column & 1, &saw, NULL);
        same_status(&saw, APERTIS_OK);
        same_text("text", &saw.text, TEXT("It is 21 degrees in Paris."));
        consistent(&saw, column & 1);
    } else {
        complain("expected one tool call, saw \"%s\"", saw.calls.data);
    }
    forget(&saw);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void reply_to_calls(void *user_data, const apertis_event *event) {
    on_event(user_data, event);
    if (apertis_event_kind_of(event) == APERTIS_EVENT_TOOL_CALL &&
        apertis_stream_reply(apertis_event_stream(event), apertis_event_tool_call_id(event), "21 degrees", APERTIS_NTS, 0) != APERTIS_OK)
        complain("the call cannot be answered");
}

/* The library makes the second request by itself, and the exchange goes on from its response. */
static void a_tool_round(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:tool", 1);
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    seen saw;
    memset(&saw, 0, sizeof saw);
    if (apertis_request_set_max_tool_rounds(request, 1) != APERTIS_OK) complain("no rounds");
    saw.status = apertis_client_chat_stream(client, request, reply_to_calls, &saw, &response, &error);
    look_at(&saw, response, error);
    same_status(&saw, APERTIS_OK);
    same_text("text", &saw.text, TEXT("It is 21 degrees in Paris."));
    same_text("tool calls of the events", &saw.told_calls, TEXT(CALL_PARIS));
    same_number("finish", saw.finish, APERTIS_FINISH_STOP);
    same_number("ENDs", saw.ends, 1);
    same_text("text of the events", &saw.told, saw.text.data, saw.text.size);
    forget(&saw);
    if (apertis_request_add_response(request, response) != APERTIS_OK ||
        apertis_request_add_message(request, APERTIS_ROLE_USER, "case:text", APERTIS_NTS) != APERTIS_OK)
        complain("the exchange cannot be added");
    send(client, request, 0, &saw, NULL);
    same_status(&saw, APERTIS_OK);
    same_text("text", &saw.text, TEXT(UP_TEXT));
    forget(&saw);
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void structured(const char *model, int column, const char *schema, int32_t status) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:json", 0);
    apertis_response *response = NULL;
    seen saw;
    if (apertis_request_set_output_schema(request, "person", schema) != APERTIS_OK) complain("no schema");
    send(client, request, column & 1, &saw, &response);
    same_status(&saw, status);
    if (!response) {
        complain("there is no response");
    } else if (status == APERTIS_OK) {
        const char *output = apertis_response_output(response, NULL);
        if (!output || strcmp(output, "{\"name\":\"Ada\",\"age\":36}") != 0) complain("output: saw %s", output ? output : "NULL");
    } else if (!strstr(saw.error, "age")) {
        complain("the error does not name the field: %s", saw.error);
    }
    same_text("text", &saw.text, TEXT("{\"name\":\"Ada\",\"age\":36}"));
    consistent(&saw, column & 1);
    forget(&saw);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
}

#define PERSON(age) \
    "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"" age "\"}}," \
    "\"required\":[\"name\",\"age\"],\"additionalProperties\":false}"

static void output_by_schema(const char *model, int column) { structured(model, column, PERSON("integer"), APERTIS_OK); }
static void output_against_schema(const char *model, int column) { structured(model, column, PERSON("string"), APERTIS_ERROR_SCHEMA); }

static void reasoning_is_replayed(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:reasoning", 0);
    apertis_response *response = NULL;
    const char *body = "";
    seen saw;
    send(client, request, column & 1, &saw, &response);
    same_status(&saw, APERTIS_OK);
    forget(&saw);
    if (apertis_request_add_response(request, response) != APERTIS_OK ||
        apertis_request_add_message(request, APERTIS_ROLE_USER, "case:text", APERTIS_NTS) != APERTIS_OK ||
        apertis_client_preview(client, request, &body, NULL, NULL) != APERTIS_OK)
        complain("the turn cannot be added");
    if (!strstr(body, "EqQBCgIYAhIMabcdefghijklmnop==") || !strstr(body, THOUGHTS)) complain("the signature is lost: %.600s", body);
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_OK);
    same_text("text", &saw.text, TEXT(UP_TEXT));
    forget(&saw);
    apertis_response_free(response);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void recovers(const char *model, int column, const char *prompt, const char *text, int attempts) {
    apertis_client *client = client_with(key, 3);
    apertis_request *request = request_for(column, model, prompt, 0);
    seen saw;
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_OK);
    same_text("text", &saw.text, text, strlen(text));
    same_number("attempts", saw.attempts, attempts);
    if (column & 1) same_number("RETRYs", saw.retries, attempts - 1);
    consistent(&saw, column & 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void recovers_from_429(const char *model, int column) { recovers(model, column, "err:429once", "recovered after one 429", 2); }
static void recovers_from_503(const char *model, int column) { recovers(model, column, "err:503twice", "recovered after two 503", 3); }

static void usage(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:usage", 0);
    seen saw;
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_OK);
    same_number("input tokens", saw.input, 11);
    same_number("output tokens", saw.output, 7);
    same_number("all tokens", saw.total, 18);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

/* The server destroys the connection in the middle: the part that came is there, and nobody calls it an answer. */
static void a_cut_stream(const char *model, int column) {
    static const char whole[] = "This stream is destroyed after eight events, so the end is never seen by anybody.";
    apertis_client *client = client_with(key, 3);
    apertis_request *request = request_for(column, model, "cut:events", 0);
    seen saw;
    send(client, request, 1, &saw, NULL);
    if (saw.status != APERTIS_ERROR_TRUNCATED && saw.status != APERTIS_ERROR_DISCONNECTED)
        complain("expected TRUNCATED or DISCONNECTED, saw %s (%s)", apertis_status_name(saw.status), saw.error);
    if (saw.text.size == 0 || saw.text.size >= sizeof whole - 1 || memcmp(saw.text.data, whole, saw.text.size) != 0)
        complain("expected the beginning of the text, saw \"%s\"", saw.text.data);
    same_number("finish", saw.finish, APERTIS_FINISH_INTERRUPTED);
    same_number("attempts", saw.attempts, 1);
    consistent(&saw, 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

/* The model wrote arguments that are no JSON: they are there to read, and nobody is asked to make the call. */
static void arguments_that_are_no_json(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:badargs", 1);
    seen saw;
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_OK);
    same_text("tool calls", &saw.calls, TEXT("call_bad_1 get_weather {\"city\":\"Par"));
    same_text("tool calls of the events", &saw.told_calls, NO_TEXT);
    consistent(&saw, column & 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void a_dropped_connection(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "chaos:disconnect", 0);
    seen saw;
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_ERROR_DISCONNECTED);
    consistent(&saw, column & 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void the_first_token_is_late(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "slow:ttft", 0);
    seen saw;
    if (apertis_request_set_timeout(request, APERTIS_TIMEOUT_FIRST_EVENT, 300) != APERTIS_OK) complain("no timeout");
    send(client, request, 1, &saw, NULL);
    /* In Responses and Messages an event without text comes at once; then the text is only waited for. */
    if (saw.status == APERTIS_OK)
        same_text("text", &saw.text, TEXT("First token late, then slow drip of tokens for idle timeout tests."));
    else
        same_status(&saw, APERTIS_ERROR_TIMED_OUT);
    consistent(&saw, 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void cancel_in_the_middle(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "case:long", 0);
    apertis_stream *stream = NULL;
    const apertis_event *event = NULL;
    int ends = 0;
    if (apertis_client_start(client, request, &stream, NULL) != APERTIS_OK) complain("does not start");
    while (apertis_stream_next(stream, 20000, &event) == APERTIS_OK) {
        if (apertis_event_kind_of(event) == APERTIS_EVENT_TEXT) apertis_stream_cancel(stream);
        if (apertis_event_kind_of(event) != APERTIS_EVENT_END) continue;
        ends++;
        same_number("status", apertis_error_status(apertis_event_error(event)), APERTIS_ERROR_CANCELLED);
        if (!apertis_response_text(apertis_event_response(event), NULL)[0]) complain("the part is lost");
    }
    same_number("ENDs", ends, 1);
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void a_key_that_is_refused(const char *model, int column, const char *bad) {
    apertis_client *client = client_with(bad, 3);
    apertis_request *request = request_for(column, model, "case:text", 0);
    seen saw;
    send(client, request, column & 1, &saw, NULL);
    same_status(&saw, APERTIS_ERROR_AUTHENTICATION);
    same_number("HTTP status", saw.http_status, 401);
    same_number("attempts", saw.attempts, 1);
    consistent(&saw, column & 1);
    forget(&saw);
    apertis_request_free(request);
    apertis_client_free(client);
}

static void a_wrong_key(const char *model, int column) { a_key_that_is_refused(model, column, "sk-nobody-knows-it"); }
static void no_key(const char *model, int column) { a_key_that_is_refused(model, column, ""); }

/* LiteLLM's real rate limiter, which lets two requests a minute through. */
static void a_real_rate_limit(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_request *request = request_for(column, model, "hi", 0);
    int turn;
    for (turn = 0; turn < 3; turn++) {
        seen saw;
        send(client, request, column & 1, &saw, NULL);
        if (saw.status == APERTIS_OK) {
            if (turn == 2) complain("three requests went through");
        } else {
            same_status(&saw, APERTIS_ERROR_RATE_LIMITED);
            same_number("HTTP status", saw.http_status, 429);
        }
        forget(&saw);
    }
    apertis_request_free(request);
    apertis_client_free(client);
}

static void the_list_of_models(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    char quoted[64];
    (void)column;
    snprintf(quoted, sizeof quoted, "\"%s\"", model);
    if (apertis_client_call(client, "GET", "models", NULL, NULL, 0, &response, &error) != APERTIS_OK)
        complain("%s", apertis_error_message(error));
    else if (!strstr(apertis_response_raw(response, NULL), quoted))
        complain("%s is not in %.300s", quoted, apertis_response_raw(response, NULL));
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_client_free(client);
}

static void no_such_endpoint(const char *model, int column) {
    apertis_client *client = client_with(key, 0);
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    (void)model;
    (void)column;
    same_number("status", apertis_client_call(client, "GET", "no/such/endpoint", NULL, NULL, 0, &response, &error), APERTIS_ERROR_NOT_FOUND);
    same_number("HTTP status", apertis_error_http_status(error), 404);
    if (response) complain("a failure has a response");
    apertis_error_free(error);
    apertis_response_free(response);
    apertis_client_free(client);
}

static void embeddings_of(const char *model, const char *const *texts, size_t count, const float *expected) {
    apertis_client *client = client_with(key, 0);
    apertis_embeddings *embeddings = NULL;
    apertis_error *error = NULL;
    size_t index, at, dimensions = 0;
    if (apertis_client_embed(client, model, texts, count, &embeddings, &error) != APERTIS_OK) complain("%s", apertis_error_message(error));
    same_number("vectors", (long long)apertis_embeddings_count(embeddings), (long long)count);
    for (index = 0; index < apertis_embeddings_count(embeddings); index++) {
        const float *vector = apertis_embeddings_vector(embeddings, index, &dimensions);
        same_number("dimensions", (long long)dimensions, 4);
        for (at = 0; vector && at < 4 && dimensions == 4; at++)
            if (vector[at] < expected[at] - 1e-6f || vector[at] > expected[at] + 1e-6f)
                complain("vector %lu: expected %f, saw %f", (unsigned long)index, (double)expected[at], (double)vector[at]);
    }
    apertis_error_free(error);
    apertis_embeddings_free(embeddings);
    apertis_client_free(client);
}

static void mocked_embeddings(const char *model, int column) {
    static const char *const texts[] = {"a"};
    static const float expected[] = {0.1f, 0.2f, -0.3f, 0.4f};
    (void)column;
    embeddings_of(model, texts, 1, expected);
}

static void embeddings(const char *model, int column) {
    static const char *const texts[] = {"emb: one", "emb: 東京"};
    static const float expected[] = {0.0023064255f, -0.009327292f, 0.015797347f, 0.5f};
    (void)column;
    embeddings_of(model, texts, 2, expected);
}

typedef struct story {
    const char *name, *model;
    int where;
    story_fn *tell;
} story;

static const story AIMOCK_STORIES[] = {
    {"a tool's result", "m", ALL, a_tool_turn},
    {"a tool round", "m", STREAMED, a_tool_round},
    {"output by a schema", "m", ALL, output_by_schema},
    {"output against a schema", "m", ALL, output_against_schema},
    {"reasoning is replayed", "m", MESSAGES, reasoning_is_replayed},
    {"usage", "m", ALL, usage},
    {"429, then an answer", "m", ALL, recovers_from_429},
    {"503 twice, then an answer", "m", ALL, recovers_from_503},
    {"a stream that is cut", "m", STREAMED, a_cut_stream},
    {"arguments that are no JSON", "m", CHAT | RESPONSES, arguments_that_are_no_json},
    {"a dropped connection", "m", ALL, a_dropped_connection},
    {"a late first token", "m", STREAMED, the_first_token_is_late},
    {"cancelled in the middle", "m", STREAMED, cancel_in_the_middle},
    {"a wrong key", "m", ALL, a_wrong_key},
    {"no such endpoint", "m", 1, no_such_endpoint},
    {NULL, NULL, 0, NULL},
};

static const story LITELLM_STORIES[] = {
    {"up-chat: a tool's result", "up-chat", ALL, a_tool_turn},
    {"up-openai: a tool's result", "up-openai", ALL, a_tool_turn},
    {"up-anthropic: a tool's result", "up-anthropic", ALL, a_tool_turn},
    {"up-chat: a tool round", "up-chat", STREAMED, a_tool_round},
    {"up-openai: a tool round", "up-openai", STREAMED, a_tool_round},
    {"up-anthropic: a tool round", "up-anthropic", STREAMED, a_tool_round},
    {"up-openai: output by a schema", "up-openai", ALL, output_by_schema},
    {"up-anthropic: replay", "up-anthropic", MESSAGES, reasoning_is_replayed},
    {"a real rate limit", "mock-limited", CHAT, a_real_rate_limit},
    {"no key", "mock-text", ALL, no_key},
    {"list of models", "up-anthropic", 1, the_list_of_models},
    {"no such endpoint", "m", 1, no_such_endpoint},
    {"mocked embeddings", "mock-embed", 1, mocked_embeddings},
    {"embeddings", "up-embed", 1, embeddings},
    {NULL, NULL, 0, NULL},
};

/* ---- Running ------------------------------------------------------------------------------------------ */

static void begin_row(const char *name) {
    check_name = name;
    printf("%-32s", name);
}

static void end_cell(void) {
    printf("%-11s", check_failed ? "FAIL" : "ok");
    fflush(stdout);
    if (check_failed)
        failed++;
    else
        passed++;
}

int main(int argc, char **argv) {
    const char *wanted = getenv("APERTIS_CASE");
    const check *one;
    const story *tale;
    int column, is_aimock;
    if (argc != 4) die("usage: %s litellm|aimock BASE KEY", argv[0]);
    is_aimock = strcmp(argv[1], "aimock") == 0;
    if (!is_aimock && strcmp(argv[1], "litellm") != 0) die("unknown server %s", argv[1]);
    base = argv[2];
    key = argv[3];
    put(&complaints, "", 0);
    printf("%-32s", argv[1]);
    for (column = 0; column < 6; column++) printf("%-11s", COLUMNS[column]);
    printf("\n");
    for (one = is_aimock ? AIMOCK : LITELLM; one->name; one++) {
        if (wanted && !strstr(one->name, wanted)) continue;
        begin_row(one->name);
        for (column = 0; column < 6; column++) {
            apertis_client *client;
            apertis_request *request;
            seen saw;
            if (!(one->where >> column & 1)) {
                printf("%-11s", ".");
                continue;
            }
            check_column = column;
            check_failed = 0;
            client = client_with(key, 0);
            request = request_for(column, one->model, one->prompt, one->calls != NULL);
            send(client, request, column & 1, &saw, NULL);
            judge(one, &saw, column & 1);
            forget(&saw);
            apertis_request_free(request);
            apertis_client_free(client);
            end_cell();
        }
        printf("\n");
    }
    for (tale = is_aimock ? AIMOCK_STORIES : LITELLM_STORIES; tale->name; tale++) {
        if (wanted && !strstr(tale->name, wanted)) continue;
        begin_row(tale->name);
        for (column = 0; column < 6; column++) {
            if (!(tale->where >> column & 1)) {
                printf("%-11s", ".");
                continue;
            }
            check_column = column;
            check_failed = 0;
            tale->tell(tale->model, column);
            end_cell();
        }
        printf("\n");
    }
    if (complaints.size) printf("\n%s", complaints.data);
    free(complaints.data);
    if (apertis_shutdown(10000) != APERTIS_OK) die("the library does not shut down");
    printf("%s: %d passed, %d failed\n", argv[1], passed, failed);
    return failed != 0 || passed == 0;
}
