/* Stands in for the system's bcryptprimitives.dll where Wine has none. For tests only: never shipped.
 *
 * Rust's standard library imports one function of it, which fills memory with random bytes and never fails. */

#include <windows.h>

/* The name that advapi32 exports RtlGenRandom by. */
BOOLEAN NTAPI SystemFunction036(PVOID buffer, ULONG length);

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE buffer, SIZE_T length)
{
    while (length > 0) {
        ULONG part = length > 0x10000 ? 0x10000 : (ULONG)length;
        if (!SystemFunction036(buffer, part))
            return FALSE;
        buffer += part;
        length -= part;
    }
    return TRUE;
}
