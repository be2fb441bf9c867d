/* A game is saved in mid-conversation and loaded another day: the next turn is the same, and no key is in the file. */
#include "story.h"

int main(void) {
    apertis_client *client;
    apertis_request *request, *loaded = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;
    const char *json, *body = NULL;
    char *saved, *expected;
    size_t length = 0;
    static const char *const broken[] = { "", "{", "[]", "42", "nonsense", "{\"messages\":7}" };
    size_t index;

    story_begin();
    client = story_client();
    request = story_request("tool=clock:%7B%22zone%22%3A%22CET%22%7D;reasoning=hm;id=resp-1", "What time is it, caf\xC3\xA9?");
    CHECK_STATUS(apertis_request_set_api_key(request, "sk-player-secret"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_model(request, "gpt-4o-mini"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_temperature(request, 0.35), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_seed(request, 9007199254740993), APERTIS_OK);     /* more than a double holds */
    CHECK_STATUS(apertis_request_add_stop(request, "END"), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "user", "\"u-1\""), APERTIS_OK);
    CHECK_STATUS(apertis_request_set_json(request, "max_tokens", NULL), APERTIS_OK);
    CHECK_STATUS(apertis_request_add_tool(request, "clock", "Tells the time", "{\"type\":\"object\",\"properties\":{\"zone\":{\"type\":\"string\"}}}"), APERTIS_OK);
    CHECK_STATUS(apertis_request_attach_data(request, "image/png", NULL, "\0\1\2", 3), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, request, &response, &error), error);
    CHECK_STATUS(apertis_request_add_response(request, response), APERTIS_OK);
    apertis_response_free(response);
    CHECK_STATUS(apertis_request_add_tool_result(request, "call_1", "noon", APERTIS_NTS, 0), APERTIS_OK);

    json = apertis_request_json(request, &length);
    CHECK(json != NULL && json[0] == '{' && strlen(json) == length);
    CHECK(strstr(json, "sk-player-secret") == NULL && strstr(json, STORY_KEY) == NULL);
    saved = story_format("%s", json);
    CHECK_OK(apertis_client_preview(client, request, &body, NULL, &error), error);
    expected = story_format("%s", body);
    apertis_request_free(request);

    CHECK_OK(apertis_request_from_json(saved, APERTIS_NTS, &loaded, &error), error);
    CHECK(loaded != NULL && error == NULL);
    CHECK_OK(apertis_client_preview(client, loaded, &body, NULL, &error), error);
    CHECK_TEXT(body, expected);
    CHECK_TEXT(story_json(body, "seed"), "9007199254740993");
    CHECK(story_json(body, "max_tokens") == NULL);
    CHECK_TEXT(story_json(body, "messages/1/tool_calls/0/id"), "call_1");
    CHECK_TEXT(apertis_request_json(loaded, NULL), saved);      /* saving what was loaded changes nothing */

    story_next_key();
    CHECK_STATUS(apertis_request_set_header(loaded, "x-gateway", story_script("say=It%20is%20noon")), APERTIS_OK);
    CHECK_OK(apertis_client_chat(client, loaded, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), "It is noon");
    CHECK_TEXT(story_sent_about(0, "headers/authorization"), "Bearer " STORY_KEY);      /* the player's key was not saved */
    apertis_response_free(response);
    apertis_request_free(loaded);

    /* With a length, and then other text behind it. */
    CHECK_OK(apertis_request_from_json(story_format("%sTRAILER", saved), strlen(saved), &loaded, &error), error);
    apertis_request_free(loaded);
    for (index = 0; index < sizeof broken / sizeof *broken; index++) {
        loaded = (apertis_request *)&loaded;
        if (apertis_request_from_json(broken[index], APERTIS_NTS, &loaded, &error) >= 0 || loaded) story_fail(__FILE__, __LINE__, "took %s", broken[index]);
        CHECK(apertis_error_message(error) != NULL);
        apertis_error_free(error);
    }
    CHECK_STATUS(apertis_request_from_json("{", APERTIS_NTS, &loaded, NULL), APERTIS_ERROR_INVALID_JSON);
    apertis_client_free(client);
    return story_end();
}
