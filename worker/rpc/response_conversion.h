// From the engine's output and descriptions to messages.
#pragma once

#include "skein/v1/inference.pb.h"
#include "skein/v1/workers.pb.h"
#include "worker/engine/model_host.h"
#include "worker/engine/token_sink.h"

namespace skein {

// Adds the bytes of each token if there is a tokenizer; it may be null.
void ConvertTokenOutput(const TokenOutput& from, const Tokenizer* tokenizer, v1::TokenInfo* to);

v1::Started ConvertStarted(const StartInfo& from, const Tokenizer* tokenizer);
v1::GenerateResponse ConvertChunk(OutputChunk from, const Tokenizer* tokenizer);
v1::Usage ConvertUsage(const RequestUsage& from);
v1::ModelInfo ConvertModelInfo(const ModelProfile& from);
v1::WorkerLoad ConvertLoad(const HostStatus& from);

}  // namespace skein
