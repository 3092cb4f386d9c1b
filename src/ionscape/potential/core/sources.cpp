// What the library was built from: the build hands over the hash of the sources, the loader compares.

#ifndef IONSCAPE_SOURCES
#define IONSCAPE_SOURCES "unknown"
#endif

extern "C" const char* ionscape_sources() { return IONSCAPE_SOURCES; }
