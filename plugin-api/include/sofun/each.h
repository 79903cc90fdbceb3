/* Counting and walking the arguments of a variadic macro, up to 80 of them, without GNU extensions. For declare.h only.
 *
 *   SOFUN_EACH(M, C, a, b, c)  ->  M(C, 0, a) M(C, 1, b) M(C, 2, c)
 */
#ifndef SOFUN_EACH_H
#define SOFUN_EACH_H

#define SOFUN_CAT(a, b) SOFUN_CAT_(a, b)
#define SOFUN_CAT_(a, b) a##b
#define SOFUN_TEXT(words) SOFUN_TEXT_(words)
#define SOFUN_TEXT_(words) #words

/* How many arguments, 1 to 80. */
#define SOFUN_COUNT(...) \
	SOFUN_COUNT_AT(__VA_ARGS__, \
		80, 79, 78, 77, 76, 75, 74, 73, 72, 71, 70, 69, 68, 67, 66, 65, 64, 63, 62, 61, 60, 59, 58, 57, 56, 55, \
		54, 53, 52, 51, 50, 49, 48, 47, 46, 45, 44, 43, 42, 41, 40, 39, 38, 37, 36, 35, 34, 33, 32, 31, 30, 29, \
		28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, \
		0)
#define SOFUN_COUNT_AT( \
		a1, a2, a3, a4, a5, a6, a7, a8, a9, a10, a11, a12, a13, a14, a15, a16, a17, a18, a19, a20, a21, a22, \
		a23, a24, a25, a26, a27, a28, a29, a30, a31, a32, a33, a34, a35, a36, a37, a38, a39, a40, a41, a42, \
		a43, a44, a45, a46, a47, a48, a49, a50, a51, a52, a53, a54, a55, a56, a57, a58, a59, a60, a61, a62, \
		a63, a64, a65, a66, a67, a68, a69, a70, a71, a72, a73, a74, a75, a76, a77, a78, a79, a80, count, ...) \
	count

/* clang-format off */
#define SOFUN_EACH(M, C, ...) SOFUN_CAT(SOFUN_EACH_, SOFUN_COUNT(__VA_ARGS__))(M, C, 0, __VA_ARGS__)
#define SOFUN_EACH_1(M, C, I, x) M(C, I, x)
#define SOFUN_EACH_2(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_1(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_3(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_2(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_4(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_3(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_5(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_4(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_6(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_5(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_7(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_6(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_8(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_7(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_9(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_8(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_10(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_9(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_11(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_10(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_12(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_11(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_13(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_12(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_14(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_13(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_15(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_14(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_16(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_15(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_17(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_16(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_18(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_17(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_19(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_18(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_20(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_19(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_21(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_20(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_22(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_21(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_23(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_22(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_24(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_23(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_25(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_24(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_26(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_25(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_27(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_26(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_28(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_27(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_29(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_28(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_30(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_29(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_31(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_30(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_32(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_31(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_33(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_32(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_34(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_33(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_35(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_34(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_36(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_35(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_37(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_36(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_38(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_37(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_39(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_38(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_40(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_39(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_41(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_40(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_42(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_41(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_43(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_42(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_44(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_43(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_45(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_44(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_46(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_45(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_47(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_46(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_48(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_47(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_49(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_48(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_50(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_49(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_51(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_50(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_52(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_51(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_53(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_52(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_54(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_53(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_55(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_54(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_56(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_55(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_57(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_56(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_58(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_57(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_59(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_58(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_60(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_59(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_61(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_60(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_62(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_61(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_63(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_62(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_64(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_63(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_65(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_64(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_66(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_65(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_67(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_66(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_68(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_67(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_69(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_68(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_70(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_69(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_71(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_70(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_72(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_71(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_73(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_72(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_74(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_73(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_75(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_74(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_76(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_75(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_77(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_76(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_78(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_77(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_79(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_78(M, C, SOFUN_NEXT(I), __VA_ARGS__)
#define SOFUN_EACH_80(M, C, I, x, ...) M(C, I, x) SOFUN_EACH_79(M, C, SOFUN_NEXT(I), __VA_ARGS__)

#define SOFUN_NEXT(I) SOFUN_CAT(SOFUN_NEXT_, I)
#define SOFUN_NEXT_0 1
#define SOFUN_NEXT_1 2
#define SOFUN_NEXT_2 3
#define SOFUN_NEXT_3 4
#define SOFUN_NEXT_4 5
#define SOFUN_NEXT_5 6
#define SOFUN_NEXT_6 7
#define SOFUN_NEXT_7 8
#define SOFUN_NEXT_8 9
#define SOFUN_NEXT_9 10
#define SOFUN_NEXT_10 11
#define SOFUN_NEXT_11 12
#define SOFUN_NEXT_12 13
#define SOFUN_NEXT_13 14
#define SOFUN_NEXT_14 15
#define SOFUN_NEXT_15 16
#define SOFUN_NEXT_16 17
#define SOFUN_NEXT_17 18
#define SOFUN_NEXT_18 19
#define SOFUN_NEXT_19 20
#define SOFUN_NEXT_20 21
#define SOFUN_NEXT_21 22
#define SOFUN_NEXT_22 23
#define SOFUN_NEXT_23 24
#define SOFUN_NEXT_24 25
#define SOFUN_NEXT_25 26
#define SOFUN_NEXT_26 27
#define SOFUN_NEXT_27 28
#define SOFUN_NEXT_28 29
#define SOFUN_NEXT_29 30
#define SOFUN_NEXT_30 31
#define SOFUN_NEXT_31 32
#define SOFUN_NEXT_32 33
#define SOFUN_NEXT_33 34
#define SOFUN_NEXT_34 35
#define SOFUN_NEXT_35 36
#define SOFUN_NEXT_36 37
#define SOFUN_NEXT_37 38
#define SOFUN_NEXT_38 39
#define SOFUN_NEXT_39 40
#define SOFUN_NEXT_40 41
#define SOFUN_NEXT_41 42
#define SOFUN_NEXT_42 43
#define SOFUN_NEXT_43 44
#define SOFUN_NEXT_44 45
#define SOFUN_NEXT_45 46
#define SOFUN_NEXT_46 47
#define SOFUN_NEXT_47 48
#define SOFUN_NEXT_48 49
#define SOFUN_NEXT_49 50
#define SOFUN_NEXT_50 51
#define SOFUN_NEXT_51 52
#define SOFUN_NEXT_52 53
#define SOFUN_NEXT_53 54
#define SOFUN_NEXT_54 55
#define SOFUN_NEXT_55 56
#define SOFUN_NEXT_56 57
#define SOFUN_NEXT_57 58
#define SOFUN_NEXT_58 59
#define SOFUN_NEXT_59 60
#define SOFUN_NEXT_60 61
#define SOFUN_NEXT_61 62
#define SOFUN_NEXT_62 63
#define SOFUN_NEXT_63 64
#define SOFUN_NEXT_64 65
#define SOFUN_NEXT_65 66
#define SOFUN_NEXT_66 67
#define SOFUN_NEXT_67 68
#define SOFUN_NEXT_68 69
#define SOFUN_NEXT_69 70
#define SOFUN_NEXT_70 71
#define SOFUN_NEXT_71 72
#define SOFUN_NEXT_72 73
#define SOFUN_NEXT_73 74
#define SOFUN_NEXT_74 75
#define SOFUN_NEXT_75 76
#define SOFUN_NEXT_76 77
#define SOFUN_NEXT_77 78
#define SOFUN_NEXT_78 79
#define SOFUN_NEXT_79 80
/* clang-format on */

#endif
