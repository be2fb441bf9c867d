/* The answer must be JSON of a schema: the provider is asked for it, and what does not fit comes as an error with the text. */
#include "story.h"

static const char schema[] = "{\"type\":\"object\",\"properties\":{\"ok\":{\"type\":\"boolean\"}},\"required\":[\"ok\"],\"additionalProperties\":false}";

int main(void) {
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;

    story_begin();
    client = story_client();
    request = story_request("say=%7B%22ok%22%3Atrue%7D", "Hello");
    CHECK_STATUS(apertis_request_set_output_schema(request, "verdict", schema), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), "{\"ok\":true}");
    CHECK_TEXT(story_sent(0, "response_format/type"), "json_schema");
    CHECK_TEXT(story_sent(0, "response_format/json_schema/name"), "verdict");
    CHECK_TEXT(story_sent(0, "response_format/json_schema/schema/required/0"), "ok");
    apertis_response_free(response);
    apertis_request_free(request);

    request = story_request("say=%7B%22ok%22%3A7%7D", "Hello");
    CHECK_STATUS(apertis_request_set_output_schema(request, "verdict", schema), APERTIS_OK);
    CHECK_STATUS(apertis_client_chat(client, request, &response, &error), APERTIS_ERROR_SCHEMA);
    CHECK_TEXT(apertis_response_text(response, NULL), "{\"ok\":7}");
    CHECK_CONTAINS(apertis_error_message(error), "ok");         /* where it does not fit */
    apertis_response_free(response);
    apertis_error_free(error);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
