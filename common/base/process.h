// What a process needs before it opens its first file or socket.
#pragma once

namespace skein {

// A log whose reader has ended must not end a server: SIGPIPE is ignored. And a log that was closed
// must not become a client's connection: descriptors 0 to 2 are opened, on /dev/null, where they
// are not.
void PrepareProcess();

}  // namespace skein
