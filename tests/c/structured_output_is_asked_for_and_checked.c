/* A schema goes to the provider in each format's way, and the answer is checked against it here. */
#include "story.h"

#define SCHEMA "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"rain\":{\"type\":\"integer\"}},\"required\":[\"city\",\"rain\"],\"additionalProperties\":false}"

static apertis_status ask(apertis_client *client, int32_t format, const char *answer, apertis_response **response, apertis_error **error) {
    apertis_request *request;
    apertis_status status;
    story_next_key();
    request = story_request(story_format("say=%s", story_encode(answer)), "The weather?");
    CHECK_STATUS(apertis_request_set_format(request, format), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_output_schema(request, "weather", SCHEMA), APERTIS_OK);
    status = apertis_client_chat_stream(client, request, NULL, NULL, response, error);
    apertis_request_free(request);
    return status;
}

int main(void) {
    static const char *const PATHS[] = {"", "response_format/json_schema/schema/required/1", "text/format/schema/required/1", "output_config/format/schema/required/1"};
    apertis_client *client;
    apertis_request *request;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    int32_t format;

    story_begin();
    client = story_client();
    for (format = APERTIS_FORMAT_CHAT_COMPLETIONS; format <= APERTIS_FORMAT_MESSAGES; format++) {
        CHECK_OK(ask(client, format, "{\"city\":\"Bern\",\"rain\":3}", &response, &error), error);
        CHECK_TEXT(apertis_response_output(response, NULL), "{\"city\":\"Bern\",\"rain\":3}");
        CHECK_CONTAINS(story_sent(0, PATHS[format]), "rain");
        apertis_response_free(response);

        /* What models put around it is taken off; the text stays as it came. */
        CHECK_OK(ask(client, format, "Here you are:\n```json\n{\"city\": \"Bern\", \"rain\": 3}\n```\nBye.", &response, &error), error);
        CHECK_TEXT(apertis_response_output(response, NULL), "{\"city\": \"Bern\", \"rain\": 3}");
        CHECK_CONTAINS(apertis_response_text(response, NULL), "Here you are");
        apertis_response_free(response);

        /* A violation names its place, and the answer is there. */
        CHECK_STATUS(ask(client, format, "{\"city\":\"Bern\",\"rain\":\"much\"}", &response, &error), APERTIS_ERROR_SCHEMA);
        CHECK_CONTAINS(apertis_error_message(error), "/rain");
        CHECK_CONTAINS(apertis_response_text(response, NULL), "much");
        CHECK(apertis_response_output(response, NULL) == NULL);
        apertis_response_free(response);
        apertis_error_free(error);
        CHECK_STATUS(ask(client, format, "I will not.", &response, &error), APERTIS_ERROR_SCHEMA);
        apertis_response_free(response);
        apertis_error_free(error);
    }

    /* A schema that no provider enforces is refused before anything is sent. */
    story_next_key();
    request = story_request("say=x", "?");
    CHECK_STATUS(apertis_request_set_output_schema(request, "a name", SCHEMA), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_request_set_output_schema(request, "x", "{"), APERTIS_ERROR_INVALID_JSON);
    CHECK_STATUS(apertis_request_set_output_schema(request, "x", "{\"type\":\"nonsense\"}"), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_STATUS(apertis_request_set_output_schema(request, "x", "{\"type\":\"object\",\"properties\":{\"deep\":{\"type\":\"array\",\"items\":{\"type\":\"object\"}}},\"required\":[\"deep\"],\"additionalProperties\":false}"), APERTIS_OK);
    CHECK_STATUS(apertis_client_chat(client, request, &response, &error), APERTIS_ERROR_INVALID_ARGUMENT);
    CHECK_CONTAINS(apertis_error_message(error), "#/properties/deep/items");
    CHECK_INT(story_sent_count(), 0);
    apertis_error_free(error);
    apertis_request_free(request);
    apertis_client_free(client);
    return story_end();
}
