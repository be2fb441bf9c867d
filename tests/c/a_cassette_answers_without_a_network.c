/* Answers are recorded once and played back without a server; the file holds no key, and a miss says what differs. */
#include "story.h"

static apertis_client *client_with(int32_t mode, const char *path, const char *base) {
    apertis_config *config = story_config();
    CHECK_STATUS(apertis_config_set_cassette(config, mode, path), APERTIS_OK);
    CHECK_STATUS(apertis_config_set_max_retries(config, 2), APERTIS_OK);
    if (base != NULL) CHECK_STATUS(apertis_config_set_api_base(config, base), APERTIS_OK);
    return story_client_of(config);
}

static char *read_file(const char *path) {
    char *text = (char *)calloc(1, 1 << 20);
    FILE *file = fopen(path, "rb");
    CHECK(text != NULL && file != NULL);
    CHECK(fread(text, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    return text;
}

static void ask(apertis_client *client, int32_t format, const char *script, story_tally *tally) {
    apertis_request *request = story_request(script, "Read me the tape.");
    apertis_stream *stream = NULL;
    CHECK_STATUS(apertis_request_set_format(request, format), APERTIS_OK);
    CHECK_STATUS(apertis_client_start(client, request, &stream, NULL), APERTIS_OK);
    story_pull(stream, tally);
    apertis_stream_free(stream);
    apertis_request_free(request);
}

int main(void) {
    char *path, *text;
    apertis_client *client;
    apertis_config *config;
    apertis_error *error = NULL;
    int32_t format;

    story_begin();
    path = story_format("/tmp/%s-%ld.jsonl", story_name, (long)getpid());
    remove(path);
    client = client_with(APERTIS_CASSETTE_RECORD, path, NULL);
    for (format = APERTIS_FORMAT_CHAT_COMPLETIONS; format <= APERTIS_FORMAT_MESSAGES; format++) {
        story_tally *tally = story_tally_new();
        ask(client, format, "say=One%20two%20drei%20%C3%BC.;chunk=5;fail=503;retry_after_ms=1", tally);
        CHECK_STATUS(tally->status, APERTIS_OK);
        CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], format == APERTIS_FORMAT_CHAT_COMPLETIONS ? 1 : 0);
        story_tally_free(tally);
    }
    apertis_client_free(client);
    text = read_file(path);
    CHECK(strstr(text, STORY_KEY) == NULL);
    CHECK_INT(story_occurrences(text, "\"apertis_cassette\":1"), 4);
    free(text);

    /* The same requests, at a base where nobody is. */
    client = client_with(APERTIS_CASSETTE_REPLAY, path, "http://127.0.0.1:9/v1");
    for (format = APERTIS_FORMAT_CHAT_COMPLETIONS; format <= APERTIS_FORMAT_MESSAGES; format++) {
        story_tally *tally = story_tally_new();
        ask(client, format, "not=read", tally);
        CHECK_STATUS(tally->status, APERTIS_OK);
        CHECK_INT(tally->kinds[APERTIS_EVENT_RETRY], format == APERTIS_FORMAT_CHAT_COMPLETIONS ? 1 : 0);
        CHECK_TEXT(tally->text, "One two drei \xc3\xbc.");
        story_tally_free(tally);
    }
    {
        apertis_response *response = NULL;
        CHECK_STATUS(apertis_client_complete(client, "Something else.", APERTIS_NTS, &response, &error), APERTIS_ERROR_CONNECT);
        CHECK(response == NULL);
        CHECK_CONTAINS(apertis_error_message(error), "POST /v1/chat/completions");
        CHECK_CONTAINS(apertis_error_message(error), "messages");
        apertis_error_free(error);
    }
    apertis_client_free(client);

    config = story_config();
    CHECK_STATUS(apertis_config_set_cassette(config, 9, path), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_config_set_cassette(config, APERTIS_CASSETTE_REPLAY, NULL), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_config_set_cassette(config, APERTIS_CASSETTE_REPLAY, "/nowhere/at.all"), APERTIS_OK);
    client = NULL;
    CHECK_STATUS(apertis_client_new(config, &client, &error), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_CONTAINS(apertis_error_message(error), "/nowhere/at.all");
    apertis_error_free(error);
    apertis_config_free(config);
    remove(path);
    return story_end();
}
