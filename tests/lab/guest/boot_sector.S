# Boot sector of the guest images: loads a kernel as Documentation/x86/boot.rst of Linux wants it, and starts it.
#
# GRUB copies what it reads byte by byte, which is a third of a boot under emulation; here the BIOS copies words.
# Assembled with the disk's own numbers, see disk.py: sector, address and count of chunks of each of the three pieces.

        .set    CHUNK, 64               # sectors that are read at once
        .set    BUFFER, 0x2000          # segment that they are read into
        .set    SETUP, 0x1000           # segment of the kernel's real-mode part

        .code16
        .globl  _start
_start: xor     %ax, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %ss
        mov     $0x7c00, %sp
        cld
        mov     $pieces, %bx
piece:  mov     (%bx), %eax
        mov     %eax, sector
        mov     4(%bx), %edi
        mov     8(%bx), %cx
chunk:  push    %cx
        push    %bx
        push    %edi
        mov     $packet, %si
        mov     $0x42, %ah              # read, drive %dl as the BIOS left it
        int     $0x13
        jc      failed
        mov     %edi, %eax
        mov     %ax, target + 2
        shr     $16, %eax
        mov     %al, target + 4
        mov     %ah, target + 7
        mov     $segments, %si
        mov     $CHUNK * 256, %cx       # words
        mov     $0x87, %ah              # copy beyond the first mebibyte
        int     $0x15
        jc      failed
        pop     %edi
        pop     %bx
        pop     %cx
        addl    $CHUNK, sector
        add     $CHUNK * 512, %edi
        loop    chunk
        add     $10, %bx
        cmp     $pieces_end, %bx
        jb      piece

        mov     $SETUP, %ax
        mov     %ax, %ds
        mov     %ax, %es
        mov     %ax, %fs
        mov     %ax, %gs
        mov     %ax, %ss
        mov     $heap_end, %sp
        ljmp    $SETUP + 0x20, $0

failed: int     $0x18                   # no bootable device

        .balign 4
packet: .byte   16, 0
        .word   CHUNK, 0, BUFFER
sector: .long   0, 0

segments:
        .fill   16, 1, 0
        .word   0xffff, (BUFFER << 4) & 0xffff
        .byte   BUFFER >> 12, 0x93
        .word   0
target: .word   0xffff, 0
        .byte   0, 0x93
        .word   0
        .fill   16, 1, 0

pieces: .long   setup_sector, SETUP << 4
        .word   setup_chunks
        .long   kernel_sector, kernel_address
        .word   kernel_chunks
        .long   initramfs_sector, initramfs_address
        .word   initramfs_chunks
pieces_end:
