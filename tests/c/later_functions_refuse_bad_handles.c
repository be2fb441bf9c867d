/* Tool rounds, schemas and cassettes are as hard to crash as everything before them. */
#include "story.h"

int main(void) {
    apertis_config *config;
    apertis_client *client;
    apertis_request *request, *live;
    apertis_stream *stream;
    void *bad[5];
    size_t index;

    story_begin();
    client = story_client();
    config = apertis_config_new();
    request = story_request("say=Hi", "Hello");
    stream = story_start(client, "say=Hi");
    apertis_config_free(config);
    apertis_request_free(request);
    apertis_stream_free(stream);
    bad[0] = NULL;
    bad[1] = client;
    bad[2] = config;
    bad[3] = request;
    bad[4] = stream;
    for (index = 0; index < 5; index++) {
        CHECK_STATUS(apertis_config_set_cassette((apertis_config *)bad[index], APERTIS_CASSETTE_OFF, NULL), APERTIS_ERROR_INVALID_HANDLE);
        CHECK_STATUS(apertis_request_set_output_schema((apertis_request *)bad[index], "n", "{}"), APERTIS_ERROR_INVALID_HANDLE);
        CHECK_STATUS(apertis_request_set_max_tool_rounds((apertis_request *)bad[index], 1), APERTIS_ERROR_INVALID_HANDLE);
        CHECK_STATUS(apertis_stream_reply((apertis_stream *)bad[index], "call_1", "x", 1, 0), APERTIS_ERROR_INVALID_HANDLE);
    }
    config = apertis_config_new();
    live = apertis_request_new();
    stream = story_start(client, "say=Hi");
    CHECK_STATUS(apertis_config_set_cassette(config, 9, "x"), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_config_set_cassette(config, APERTIS_CASSETTE_RECORD, NULL), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_request_set_output_schema(live, "s", "nope"), APERTIS_ERROR_INVALID_JSON);
    CHECK_STATUS(apertis_request_set_max_tool_rounds(live, -1), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_stream_reply(stream, NULL, "x", 1, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_stream_reply(stream, "no_such_call", "x", 1, 0), APERTIS_ERROR_INVALID_ARGUMENT);
    apertis_stream_free(stream);
    apertis_request_free(live);
    apertis_config_free(config);
    apertis_client_free(client);
    return story_end();
}
