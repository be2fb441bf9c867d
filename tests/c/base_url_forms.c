/* However the base URL is spelled, the request arrives where it should. */
#include "story.h"

static void ask(const char *base, const char *path) {
    apertis_config *config = story_config();
    apertis_client *client;
    apertis_request *request;
    int32_t status;
    story_next_key();
    CHECK_STATUS(apertis_config_set_api_base(config, base), APERTIS_OK);
    client = story_client_of(config);
    request = story_request("say=Hi", "Hello");
    status = apertis_client_chat(client, request, NULL, NULL);
    if (status != APERTIS_OK) story_fail(__FILE__, __LINE__, "%s: %s", base, apertis_status_name(status));
    if (!story_sent_about(0, "path") || strcmp(story_sent_about(0, "path"), path) != 0)
        story_fail(__FILE__, __LINE__, "%s: went to %s, not to %s", base, story_sent_about(0, "path"), path);
    apertis_request_free(request);
    apertis_client_free(client);
}

int main(void) {
    static const char *const wrong[] = { "ftp://example.com/v1", "example.com/v1", "http://", "not a url", "http://exa mple.com", "http://host:99999/v1" };
    apertis_config *config;
    int port;
    size_t index;

    story_begin();
    port = story_port();
    ask(story_format("http://127.0.0.1:%d", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/v1", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/v1/", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/v1//", port), "/v1/chat/completions");
    ask(story_format("HTTP://127.0.0.1:%d/v1", port), "/v1/chat/completions");
    ask(story_format("http://localhost:%d/v1", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/v1/chat/completions", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/v1/messages", port), "/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/proxy/v1", port), "/proxy/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/proxy", port), "/proxy/v1/chat/completions");
    ask(story_format("http://127.0.0.1:%d/api/v3/", port), "/api/v3/chat/completions");

    config = apertis_config_new();
    for (index = 0; index < sizeof wrong / sizeof *wrong; index++)
        if (apertis_config_set_api_base(config, wrong[index]) != APERTIS_ERROR_INVALID_ARGUMENT) story_fail(__FILE__, __LINE__, "%s was taken", wrong[index]);
    apertis_config_free(config);
    return story_end();
}
