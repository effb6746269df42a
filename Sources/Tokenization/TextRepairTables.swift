/// Data of `TextRepair`, hexadecimal code points and ranges. Made by scripts/make-text-tables from ftfy 6.3.1 (Robyn
/// Speer, Apache License 2.0) and Python's codecs.
enum TextRepairTables {
    /// What text in a wrong encoding is made of.
    static let classes = """
        common a0 ad b4 b7 2013-2015 2019 2026
        c1 80-9f
        bad a4 a6 a8 aa ac af b8 ba 192 2c6-2c7 2d8 2db-2dc 2020-2021 2030 2310 25ca fffd
        law a7 b6
        currency a2-a3 a5 20a7 20ac
        start_punctuation a1 a9 ab bf 384-385 2018 201a 201c 201e 2022 2039 f8ff
        end_punctuation ae bb 2dd 201d 203a 2122
        numeric b1-b3 b5 b9 bc-be d7 f7 2044 2116 2202 2206 220f 2211 221a 221e 2229 222b 2248 2260-2261 2264-2265
        kaomoji b0 d2-d6 d9-dc f2-f6 f8-fc 14c 150 16a 172
        upper_accented c0-d1 d8 dc-dd 100 102 104 106 10c 10e 110 112 116 118 11a 11e 122 12a 130 136 139 13b 13d \
            141 143 145 147 152 158 15a 15e 160 162 164 16e 170 178-179 17b 17d 490
        lower_accented df-f1 fc 101 103 105 107 10d 10f 111 113 117 119 11b 11f 123 12b 12f 137 13a 13c 13e 142 153 \
            155 15b 15f 161 165 17a 17c 17e 491 fb01-fb02
        upper_common de 386 388-38a 38c 38e-38f 391-3ab 401-42f
        lower_common 3ac-3c9 430-45f
        box 2502 250c 2510 2518 251c 2524 252c 253c 2550-256c 2580 2584 2588 258c 2590-2593
        """

    /// Characters that single-byte encodings make of the bytes of UTF-8.
    static let clues = """
        utf8_first_of_2 c2-df 100 102 106 10c 10e 110 112 116 118 11a 11e 122 12a 130 136 139 13b 141 143 145 147 \
            14c 150 158 15a 15e 160 162 16a 16e 170 172 179 17b 17d 392-3a1 3a3-3af 412-42f
        utf8_first_of_3 e0-ef 101 103 105 107 10d 10f 113 117 119 11b 123 12b 12f 137 13a 13c 155 17a 3b0-3bf \
            430-43f
        utf8_first_of_4 f0 f3 111 11f 161 3c0 3c3 440 443
        utf8_continuation 20 80-bf c6 d8 e6 f8 104-105 13d-13e 141-142 152-153 156-157 15a-15b 15e-161 164-165 \
            178-17e 192 2c6-2c7 2d8 2db-2dd 384-386 388-38a 38c 38e-38f 401-40c 40e-40f 451-45c 45e-45f 490-491 \
            2013-2015 2018-201a 201c-201e 2020-2022 2026 2030 2039-203a 20ac 2116 2122
        utf8_continuation_strict 80-bf c6 d8 e6 f8 104-105 13d-13e 141-142 152-153 156-157 15a-15b 15e-161 164-165 \
            178-17e 192 2c6-2c7 2d8 2db-2dd 384-386 388-38a 38c 38e-38f 401-40c 40e-40f 451-45c 45e-45f 490-491 \
            2020-2021 2030 2039-203a 20ac 2116 2122
        """

    /// Bytes 80 to FF, in the order in which they are tried; "sloppy" ones pass unassigned bytes through.
    static let encodings = """
        latin-1 80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 \
            a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be bf c0 c1 c2 c3 \
            c4 c5 c6 c7 c8 c9 ca cb cc cd ce cf d0 d1 d2 d3 d4 d5 d6 d7 d8 d9 da db dc dd de df e0 e1 e2 e3 e4 e5 e6 \
            e7 e8 e9 ea eb ec ed ee ef f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 fa fb fc fd fe ff
        sloppy-windows-1252 20ac 81 201a 192 201e 2026 2020 2021 2c6 2030 160 2039 152 8d 17d 8f 90 2018 2019 201c \
            201d 2022 2013 2014 2dc 2122 161 203a 153 9d 17e 178 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 \
            b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be bf c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 ca cb cc cd ce cf d0 d1 d2 d3 \
            d4 d5 d6 d7 d8 d9 da db dc dd de df e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 ea eb ec ed ee ef f0 f1 f2 f3 f4 f5 f6 \
            f7 f8 f9 fa fb fc fd fe ff
        sloppy-windows-1251 402 403 201a 453 201e 2026 2020 2021 20ac 2030 409 2039 40a 40c 40b 40f 452 2018 2019 \
            201c 201d 2022 2013 2014 98 2122 459 203a 45a 45c 45b 45f a0 40e 45e 408 a4 490 a6 a7 401 a9 404 ab ac \
            ad ae 407 b0 b1 406 456 491 b5 b6 b7 451 2116 454 bb 458 405 455 457 410 411 412 413 414 415 416 417 418 \
            419 41a 41b 41c 41d 41e 41f 420 421 422 423 424 425 426 427 428 429 42a 42b 42c 42d 42e 42f 430 431 432 \
            433 434 435 436 437 438 439 43a 43b 43c 43d 43e 43f 440 441 442 443 444 445 446 447 448 449 44a 44b 44c \
            44d 44e 44f
        sloppy-windows-1250 20ac 81 201a 83 201e 2026 2020 2021 88 2030 160 2039 15a 164 17d 179 90 2018 2019 201c \
            201d 2022 2013 2014 98 2122 161 203a 15b 165 17e 17a a0 2c7 2d8 141 a4 104 a6 a7 a8 a9 15e ab ac ad ae \
            17b b0 b1 2db 142 b4 b5 b6 b7 b8 105 15f bb 13d 2dd 13e 17c 154 c1 c2 102 c4 139 106 c7 10c c9 118 cb \
            11a cd ce 10e 110 143 147 d3 d4 150 d6 d7 158 16e da 170 dc dd 162 df 155 e1 e2 103 e4 13a 107 e7 10d e9 \
            119 eb 11b ed ee 10f 111 144 148 f3 f4 151 f6 f7 159 16f fa 171 fc fd 163 2d9
        sloppy-windows-1253 20ac 81 201a 192 201e 2026 2020 2021 88 2030 8a 2039 8c 8d 8e 8f 90 2018 2019 201c 201d \
            2022 2013 2014 98 2122 9a 203a 9c 9d 9e 9f a0 385 386 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae 2015 b0 b1 b2 \
            b3 384 b5 b6 b7 388 389 38a bb 38c bd 38e 38f 390 391 392 393 394 395 396 397 398 399 39a 39b 39c 39d \
            39e 39f 3a0 3a1 d2 3a3 3a4 3a5 3a6 3a7 3a8 3a9 3aa 3ab 3ac 3ad 3ae 3af 3b0 3b1 3b2 3b3 3b4 3b5 3b6 3b7 \
            3b8 3b9 3ba 3bb 3bc 3bd 3be 3bf 3c0 3c1 3c2 3c3 3c4 3c5 3c6 3c7 3c8 3c9 3ca 3cb 3cc 3cd 3ce ff
        sloppy-windows-1254 20ac 81 201a 192 201e 2026 2020 2021 2c6 2030 160 2039 152 8d 8e 8f 90 2018 2019 201c \
            201d 2022 2013 2014 2dc 2122 161 203a 153 9d 9e 178 a0 a1 a2 a3 a4 a5 a6 a7 a8 a9 aa ab ac ad ae af b0 \
            b1 b2 b3 b4 b5 b6 b7 b8 b9 ba bb bc bd be bf c0 c1 c2 c3 c4 c5 c6 c7 c8 c9 ca cb cc cd ce cf 11e d1 d2 \
            d3 d4 d5 d6 d7 d8 d9 da db dc 130 15e df e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 ea eb ec ed ee ef 11f f1 f2 f3 f4 \
            f5 f6 f7 f8 f9 fa fb fc 131 15f ff
        sloppy-windows-1257 20ac 81 201a 83 201e 2026 2020 2021 88 2030 8a 2039 8c a8 2c7 b8 90 2018 2019 201c 201d \
            2022 2013 2014 98 2122 9a 203a 9c af 2db 9f a0 a1 a2 a3 a4 a5 a6 a7 d8 a9 156 ab ac ad ae c6 b0 b1 b2 b3 \
            b4 b5 b6 b7 f8 b9 157 bb bc bd be e6 104 12e 100 106 c4 c5 118 112 10c c9 179 116 122 136 12a 13b 160 \
            143 145 d3 14c d5 d6 d7 172 141 15a 16a dc 17b 17d df 105 12f 101 107 e4 e5 119 113 10d e9 17a 117 123 \
            137 12b 13c 161 144 146 f3 14d f5 f6 f7 173 142 15b 16b fc 17c 17e 2d9
        iso-8859-2 80 81 82 83 84 85 86 87 88 89 8a 8b 8c 8d 8e 8f 90 91 92 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f \
            a0 104 2d8 141 a4 13d 15a a7 a8 160 15e 164 179 ad 17d 17b b0 105 2db 142 b4 13e 15b 2c7 b8 161 15f 165 \
            17a 2dd 17e 17c 154 c1 c2 102 c4 139 106 c7 10c c9 118 cb 11a cd ce 10e 110 143 147 d3 d4 150 d6 d7 158 \
            16e da 170 dc dd 162 df 155 e1 e2 103 e4 13a 107 e7 10d e9 119 eb 11b ed ee 10f 111 144 148 f3 f4 151 f6 \
            f7 159 16f fa 171 fc fd 163 2d9
        macroman c4 c5 c7 c9 d1 d6 dc e1 e0 e2 e4 e3 e5 e7 e9 e8 ea eb ed ec ee ef f1 f3 f2 f4 f6 f5 fa f9 fb fc \
            2020 b0 a2 a3 a7 2022 b6 df ae a9 2122 b4 a8 2260 c6 d8 221e b1 2264 2265 a5 b5 2202 2211 220f 3c0 222b \
            aa ba 3a9 e6 f8 bf a1 ac 221a 192 2248 2206 ab bb 2026 a0 c0 c3 d5 152 153 2013 2014 201c 201d 2018 2019 \
            f7 25ca ff 178 2044 20ac 2039 203a fb01 fb02 2021 b7 201a 201e 2030 c2 ca c1 cb c8 cd ce cf cc d3 d4 \
            f8ff d2 da db d9 131 2c6 2dc af 2d8 2d9 2da b8 2dd 2db 2c7
        cp437 c7 fc e9 e2 e4 e0 e5 e7 ea eb e8 ef ee ec c4 c5 c9 e6 c6 f4 f6 f2 fb f9 ff d6 dc a2 a3 a5 20a7 192 e1 \
            ed f3 fa f1 d1 aa ba bf 2310 ac bd bc a1 ab bb 2591 2592 2593 2502 2524 2561 2562 2556 2555 2563 2551 \
            2557 255d 255c 255b 2510 2514 2534 252c 251c 2500 253c 255e 255f 255a 2554 2569 2566 2560 2550 256c 2567 \
            2568 2564 2565 2559 2558 2552 2553 256b 256a 2518 250c 2588 2584 258c 2590 2580 3b1 df 393 3c0 3a3 3c3 \
            b5 3c4 3a6 398 3a9 3b4 221e 3c6 3b5 2229 2261 b1 2265 2264 2320 2321 f7 2248 b0 2219 b7 221a 207f b2 \
            25a0 a0
        """

    /// Halfwidth and fullwidth forms, each with what it stands for.
    static let widths = """
        widths 3000-20 ff01-21 ff02-22 ff03-23 ff04-24 ff05-25 ff06-26 ff07-27 ff08-28 ff09-29 ff0a-2a ff0b-2b \
            ff0c-2c ff0d-2d ff0e-2e ff0f-2f ff10-30 ff11-31 ff12-32 ff13-33 ff14-34 ff15-35 ff16-36 ff17-37 ff18-38 \
            ff19-39 ff1a-3a ff1b-3b ff1c-3c ff1d-3d ff1e-3e ff1f-3f ff20-40 ff21-41 ff22-42 ff23-43 ff24-44 ff25-45 \
            ff26-46 ff27-47 ff28-48 ff29-49 ff2a-4a ff2b-4b ff2c-4c ff2d-4d ff2e-4e ff2f-4f ff30-50 ff31-51 ff32-52 \
            ff33-53 ff34-54 ff35-55 ff36-56 ff37-57 ff38-58 ff39-59 ff3a-5a ff3b-5b ff3c-5c ff3d-5d ff3e-5e ff3f-5f \
            ff40-60 ff41-61 ff42-62 ff43-63 ff44-64 ff45-65 ff46-66 ff47-67 ff48-68 ff49-69 ff4a-6a ff4b-6b ff4c-6c \
            ff4d-6d ff4e-6e ff4f-6f ff50-70 ff51-71 ff52-72 ff53-73 ff54-74 ff55-75 ff56-76 ff57-77 ff58-78 ff59-79 \
            ff5a-7a ff5b-7b ff5c-7c ff5d-7d ff5e-7e ff5f-2985 ff60-2986 ff61-3002 ff62-300c ff63-300d ff64-3001 \
            ff65-30fb ff66-30f2 ff67-30a1 ff68-30a3 ff69-30a5 ff6a-30a7 ff6b-30a9 ff6c-30e3 ff6d-30e5 ff6e-30e7 \
            ff6f-30c3 ff70-30fc ff71-30a2 ff72-30a4 ff73-30a6 ff74-30a8 ff75-30aa ff76-30ab ff77-30ad ff78-30af \
            ff79-30b1 ff7a-30b3 ff7b-30b5 ff7c-30b7 ff7d-30b9 ff7e-30bb ff7f-30bd ff80-30bf ff81-30c1 ff82-30c4 \
            ff83-30c6 ff84-30c8 ff85-30ca ff86-30cb ff87-30cc ff88-30cd ff89-30ce ff8a-30cf ff8b-30d2 ff8c-30d5 \
            ff8d-30d8 ff8e-30db ff8f-30de ff90-30df ff91-30e0 ff92-30e1 ff93-30e2 ff94-30e4 ff95-30e6 ff96-30e8 \
            ff97-30e9 ff98-30ea ff99-30eb ff9a-30ec ff9b-30ed ff9c-30ef ff9d-30f3 ff9e-3099 ff9f-309a ffa0-1160 \
            ffa1-1100 ffa2-1101 ffa3-11aa ffa4-1102 ffa5-11ac ffa6-11ad ffa7-1103 ffa8-1104 ffa9-1105 ffaa-11b0 \
            ffab-11b1 ffac-11b2 ffad-11b3 ffae-11b4 ffaf-11b5 ffb0-111a ffb1-1106 ffb2-1107 ffb3-1108 ffb4-1121 \
            ffb5-1109 ffb6-110a ffb7-110b ffb8-110c ffb9-110d ffba-110e ffbb-110f ffbc-1110 ffbd-1111 ffbe-1112 \
            ffc2-1161 ffc3-1162 ffc4-1163 ffc5-1164 ffc6-1165 ffc7-1166 ffca-1167 ffcb-1168 ffcc-1169 ffcd-116a \
            ffce-116b ffcf-116c ffd2-116d ffd3-116e ffd4-116f ffd5-1170 ffd6-1171 ffd7-1172 ffda-1173 ffdb-1174 \
            ffdc-1175 ffe0-a2 ffe1-a3 ffe2-ac ffe3-20-304 ffe4-a6 ffe5-a5 ffe6-20a9 ffe8-2502 ffe9-2190 ffea-2191 \
            ffeb-2192 ffec-2193 ffed-25a0 ffee-25cb
        """
}
