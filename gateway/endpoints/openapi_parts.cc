#include "gateway/endpoints/openapi_parts.h"

#include "boost/json/parse.hpp"

namespace skein {
namespace {

constexpr char kReplySchemas[] = R"({
  "Error": {
    "type": "object",
    "required": ["error"],
    "properties": {
      "error": {
        "type": "object",
        "required": ["message", "type", "param", "code"],
        "properties": {
          "message": {"type": "string"},
          "type": {"type": "string"},
          "param": {"type": ["string", "null"], "description": "The field at fault."},
          "code": {"type": ["string", "null"]}
        }
      }
    }
  },
  "Usage": {
    "type": "object",
    "properties": {
      "prompt_tokens": {"type": "integer"},
      "completion_tokens": {"type": "integer"},
      "total_tokens": {"type": "integer"},
      "prompt_tokens_details": {
        "type": "object",
        "properties": {"cached_tokens": {"type": "integer"}}
      },
      "state_rows": {"type": "integer", "description": "States that the model ran from at a time; absent for one."}
    }
  },
  "TokenLogprob": {
    "type": "object",
    "properties": {
      "token": {"type": "string"},
      "logprob": {"type": "number"},
      "bytes": {"type": "array", "items": {"type": "integer"}},
      "top_logprobs": {"type": "array", "items": {"type": "object"}}
    }
  },
  "ChatCompletion": {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
      "id": {"type": "string"},
      "object": {"const": "chat.completion"},
      "created": {"type": "integer"},
      "model": {"type": "string"},
      "system_fingerprint": {"type": ["string", "null"]},
      "choices": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "index": {"type": "integer"},
            "message": {
              "type": "object",
              "properties": {
                "role": {"const": "assistant"},
                "content": {"type": "string"},
                "refusal": {"type": "null"}
              }
            },
            "logprobs": {
              "type": ["object", "null"],
              "properties": {
                "content": {"type": "array", "items": {"$ref": "#/components/schemas/TokenLogprob"}}
              }
            },
            "finish_reason": {"enum": ["stop", "length", "tool_calls"]}
          }
        }
      },
      "usage": {"$ref": "#/components/schemas/Usage"}
    }
  },
  "Completion": {
    "type": "object",
    "required": ["id", "object", "created", "model", "choices", "usage"],
    "properties": {
      "id": {"type": "string"},
      "object": {"const": "text_completion"},
      "created": {"type": "integer"},
      "model": {"type": "string"},
      "system_fingerprint": {"type": ["string", "null"]},
      "choices": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "index": {"type": "integer"},
            "text": {"type": "string"},
            "logprobs": {
              "type": ["object", "null"],
              "properties": {
                "tokens": {"type": "array", "items": {"type": "string"}},
                "token_logprobs": {"type": "array", "items": {"type": ["number", "null"]}},
                "top_logprobs": {"type": "array", "items": {"type": ["object", "null"]}},
                "text_offset": {"type": "array", "items": {"type": "integer"}}
              }
            },
            "finish_reason": {"enum": ["stop", "length"]}
          }
        }
      },
      "usage": {"$ref": "#/components/schemas/Usage"}
    }
  },
  "Model": {
    "type": "object",
    "required": ["id", "object", "created", "owned_by"],
    "properties": {
      "id": {"type": "string"},
      "object": {"const": "model"},
      "created": {"type": "integer", "description": "When the worker loaded it, in Unix seconds."},
      "owned_by": {"type": "string"},
      "architecture": {"type": "string"},
      "weight_format": {"type": "string"},
      "max_prompt_tokens": {"type": "integer"},
      "vocab_size": {"type": "integer"},
      "chat": {"type": "boolean", "description": "Has a chat format."},
      "text_prompts": {"type": "boolean", "description": "Has a tokenizer; else token prompts only."},
      "fingerprint": {"type": "string"},
      "merged_adapter": {"type": ["string", "null"], "description": "Name of the adapter in the weights."},
      "kind": {"enum": ["model", "state", "mixture", "adapter"]},
      "base_model": {"type": ["string", "null"], "description": "Of a state, mixture or adapter."}
    }
  },
  "ModelList": {
    "type": "object",
    "properties": {
      "object": {"const": "list"},
      "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}}
    }
  },
  "RegistryChange": {
    "type": "object",
    "required": ["id", "object", "model", "name", "workers"],
    "properties": {
      "id": {"type": "string"},
      "object": {"enum": ["state", "mixture", "adapter"]},
      "model": {"type": "string"},
      "name": {"type": "string"},
      "deleted": {"const": true},
      "method": {"type": "string", "description": "Of an adapter: lora, dora, bone, ..."},
      "content_hash": {"type": "string"},
      "bytes": {"type": "integer"},
      "warnings": {"type": "array", "items": {"type": "string"}},
      "workers": {
        "type": "array",
        "items": {
          "type": "object",
          "properties": {
            "worker": {"type": "string"},
            "ok": {"type": "boolean"},
            "error": {"type": "string"}
          }
        }
      }
    }
  },
  "Tokens": {
    "type": "object",
    "properties": {
      "model": {"type": "string"},
      "count": {"type": "integer"},
      "tokens": {"type": "array", "items": {"type": "integer"}},
      "token_strs": {"type": "array", "items": {"type": "string"}}
    }
  },
  "Text": {
    "type": "object",
    "properties": {"model": {"type": "string"}, "text": {"type": "string"}}
  }
})";

}  // namespace

boost::json::object ReplySchemas() { return boost::json::parse(kReplySchemas).get_object(); }

}  // namespace skein
