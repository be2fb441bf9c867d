/* Everything that can be set on a request is set, and each of it is found in the body that the gateway received. */
#include "story.h"

#define OK(call) CHECK_STATUS(call, APERTIS_OK)

int main(void) {
    static const char pixel[] = { (char)0x89, 'P', 'N', 'G', 0, 1 };
    apertis_client *client;
    apertis_request *request;
    apertis_stream *stream = NULL;
    apertis_response *response = NULL;
    apertis_error *error = NULL;

    story_begin();
    client = story_client();
    request = apertis_request_new();
    OK(apertis_request_set_header(request, "x-gateway", story_script("say=%7B%22ok%22%3Atrue%7D")));
    OK(apertis_request_add_message(request, APERTIS_ROLE_SYSTEM, "Be brief.", APERTIS_NTS));
    OK(apertis_request_add_message(request, APERTIS_ROLE_DEVELOPER, "Be kind, too", 7));
    OK(apertis_request_add_message(request, APERTIS_ROLE_USER, "Look:", APERTIS_NTS));
    OK(apertis_request_attach_url(request, "image/png", "https://example.com/a.png"));
    OK(apertis_request_attach_data(request, "image/png", NULL, pixel, sizeof pixel));
    OK(apertis_request_add_message(request, APERTIS_ROLE_ASSISTANT, "I see.", APERTIS_NTS));
    OK(apertis_request_add_message(request, APERTIS_ROLE_USER, "Say \"quoted\"\n\ttwice", APERTIS_NTS));
    OK(apertis_request_set_model(request, "gpt-4o-mini"));
    OK(apertis_request_set_format(request, APERTIS_FORMAT_CHAT_COMPLETIONS));
    OK(apertis_request_set_temperature(request, 0.75));
    OK(apertis_request_set_top_p(request, 0.25));
    OK(apertis_request_set_max_tokens(request, 77));
    OK(apertis_request_set_seed(request, -42));
    OK(apertis_request_add_stop(request, "END"));
    OK(apertis_request_add_stop(request, "\n\n"));
    OK(apertis_request_set_reasoning_effort(request, "low"));
    OK(apertis_request_set_header(request, "x-player", "seven"));
    OK(apertis_request_set_json(request, "metadata", "{\"a\":[1,2.50]}"));
    OK(apertis_request_add_fallback_model(request, "gpt-4o"));
    OK(apertis_request_add_fallback_model(request, "claude-sonnet-4.5"));
    OK(apertis_request_add_tool(request, "clock", "Tells the time", "{\"type\":\"object\",\"properties\":{}}"));
    OK(apertis_request_set_tool_choice(request, "none"));
    OK(apertis_request_set_parallel_tool_calls(request, 0));
    CHECK_OK(apertis_client_start(client, request, &stream, &error), error);
    CHECK_OK(apertis_stream_wait(stream, -1, &response, &error), error);
    CHECK_TEXT(apertis_response_text(response, NULL), "{\"ok\":true}");
    apertis_response_free(response);
    apertis_stream_free(stream);
    apertis_request_free(request);
    apertis_client_free(client);

    CHECK_TEXT(story_sent(0, "model"), "gpt-4o-mini");
    CHECK_TEXT(story_sent(0, "messages/0/role"), "system");
    CHECK_TEXT(story_sent(0, "messages/0/content"), "Be brief.");
    CHECK_TEXT(story_sent(0, "messages/1/role"), "developer");
    CHECK_TEXT(story_sent(0, "messages/1/content"), "Be kind");
    CHECK_TEXT(story_sent(0, "messages/2/content/0/type"), "text");
    CHECK_TEXT(story_sent(0, "messages/2/content/0/text"), "Look:");
    CHECK_TEXT(story_sent(0, "messages/2/content/1/type"), "image_url");
    CHECK_TEXT(story_sent(0, "messages/2/content/1/image_url/url"), "https://example.com/a.png");
    CHECK_TEXT(story_sent(0, "messages/2/content/2/image_url/url"), "data:image/png;base64,iVBORwAB");
    CHECK_TEXT(story_sent(0, "messages/3/role"), "assistant");
    CHECK_TEXT(story_sent(0, "messages/3/content"), "I see.");
    CHECK_TEXT(story_sent(0, "messages/4/content"), "Say \"quoted\"\n\ttwice");
    CHECK(story_sent(0, "messages/5") == NULL);
    CHECK_TEXT(story_sent(0, "temperature"), "0.75");
    CHECK_TEXT(story_sent(0, "top_p"), "0.25");
    CHECK_TEXT(story_sent(0, "max_tokens"), "77");
    CHECK_TEXT(story_sent(0, "seed"), "-42");
    CHECK_TEXT(story_sent(0, "stop/0"), "END");
    CHECK_TEXT(story_sent(0, "stop/1"), "\n\n");
    CHECK_TEXT(story_sent(0, "reasoning_effort"), "low");
    CHECK_TEXT(story_sent(0, "metadata"), "{\"a\":[1,2.50]}");
    CHECK_TEXT(story_sent(0, "fallback_models/0"), "gpt-4o");
    CHECK_TEXT(story_sent(0, "fallback_models/1"), "claude-sonnet-4.5");
    CHECK_TEXT(story_sent(0, "fallback_enabled"), "true");
    CHECK_TEXT(story_sent(0, "tools/0/function/name"), "clock");
    CHECK_TEXT(story_sent(0, "tools/0/function/parameters/type"), "object");
    CHECK_TEXT(story_sent(0, "tool_choice"), "none");
    CHECK_TEXT(story_sent(0, "parallel_tool_calls"), "false");
    CHECK_TEXT(story_sent(0, "stream"), "true");
    CHECK_TEXT(story_sent(0, "stream_options/include_usage"), "true");
    CHECK_TEXT(story_sent_about(0, "headers/x-player"), "seven");
    return story_end();
}
