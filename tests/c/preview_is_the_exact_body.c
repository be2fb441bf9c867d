/* What the preview shows is byte for byte what the gateway receives. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_stream *stream = NULL;
    apertis_error *error = NULL;
    const char *body = NULL;
    char *before;
    size_t length = 0;

    story_begin();
    client = story_client();
    request = story_request("say=Hi", "Hello \xE2\x82\xAC \"you\"");
    CHECK_STATUS(apertis_request_set_temperature(request, 0.3), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "z", "{ \"b\": 1.0, \"a\": 2 }"), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "f", "does", "{\"type\":\"object\",\"properties\":{\"z\":{},\"a\":{}}}"), APERTIS_OK);
    CHECK_OK(apertis_client_preview(client, request, &body, &length, &error), error);
    CHECK(body != NULL && strlen(body) == length);
    CHECK_INT(story_sent_count(), 0);                           /* a preview sends nothing */
    before = story_format("%s", body);
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    CHECK_STATUS(apertis_stream_wait(stream, -1, NULL, NULL), APERTIS_OK);
    CHECK_TEXT(story_sent_body(0), before);
    CHECK_TEXT(body, before);                                   /* lent until the request changes */
    apertis_stream_free(stream);

    CHECK_STATUS(apertis_request_set_temperature(request, 0.9), APERTIS_OK);
    CHECK_OK(apertis_client_preview(client, request, &body, NULL, &error), error);
    CHECK_TEXT(story_json(body, "temperature"), "0.9");
    CHECK(strstr(body, STORY_KEY) == NULL);

    /* A request that could not be sent cannot be shown either. */
    apertis_request_free(request);
    request = apertis_request_new();
    CHECK_STATUS(apertis_client_preview(client, request, &body, &length, &error), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK(body == NULL);
    apertis_error_free(error);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
