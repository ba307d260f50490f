#include "worker/language.h"

#include <string.h>

#include <criterion/criterion.h>

#include "worker/language_words.h"

struct sample {
    const char *tag;
    const char *text;
};

/* The first article of the Universal Declaration of Human Rights: no list was written from it. */
static const struct sample samples[] = {
    {"en", "All human beings are born free and equal in dignity and rights. They are endowed with "
           "reason and conscience and should act towards one another in a spirit of brotherhood."},
    {"de", "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft "
           "und Gewissen begabt und sollen einander im Geist der Brüderlichkeit begegnen."},
    {"fr",
     "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués "
     "de raison et de conscience et doivent agir les uns envers les autres dans un esprit de "
     "fraternité."},
    {"es", "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como "
           "están de razón y conciencia, deben comportarse fraternalmente los unos con los otros."},
    {"pt",
     "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de "
     "razão e de consciência, devem agir uns para com os outros em espírito de fraternidade."},
    {"it", "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati "
           "di ragione e di coscienza e devono agire gli uni verso gli altri in spirito di "
           "fratellanza."},
    {"nl",
     "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd "
     "met verstand en geweten, en behoren zich jegens elkander in een geest van broederschap "
     "te gedragen."},
    {"sv", "Alla människor är födda fria och lika i värde och rättigheter. De är utrustade med "
           "förnuft och samvete och bör handla gentemot varandra i en anda av broderskap."},
    {"fi",
     "Kaikki ihmiset syntyvät vapaina ja tasavertaisina arvoltaan ja oikeuksiltaan. Heille on "
     "annettu järki ja omatunto, ja heidän on toimittava toisiaan kohtaan veljeyden hengessä."},
    {"et", "Kõik inimesed sünnivad vabadena ja võrdsetena oma väärikuselt ja õigustelt. Neile on "
           "antud mõistus ja südametunnistus ja nende suhtumist üksteisesse peab kandma vendluse "
           "vaim."},
    {"lv",
     "Visi cilvēki piedzimst brīvi un vienlīdzīgi savā pašcieņā un tiesībās. Viņi ir apveltīti "
     "ar saprātu un sirdsapziņu, un viņiem jāizturas citam pret citu brālības garā."},
    {"lt", "Visi žmonės gimsta laisvi ir lygūs savo orumu ir teisėmis. Jiems suteiktas protas ir "
           "sąžinė ir jie turi elgtis vienas kito atžvilgiu kaip broliai."},
    {"pl", "Wszyscy ludzie rodzą się wolni i równi pod względem swej godności i swych praw. Są oni "
           "obdarzeni rozumem i sumieniem i powinni postępować wobec innych w duchu braterstwa."},
    {"cs",
     "Všichni lidé rodí se svobodní a sobě rovní co do důstojnosti a práv. Jsou nadáni rozumem "
     "a svědomím a mají spolu jednat v duchu bratrství."},
    {"sk", "Všetci ľudia sa rodia slobodní a sebe rovní, čo sa týka ich dôstojnosti a práv. Sú "
           "obdarení rozumom a svedomím a majú navzájom jednať v bratskom duchu."},
    {"sl",
     "Vsi ljudje se rodijo svobodni in imajo enako dostojanstvo in enake pravice. Obdarjeni so "
     "z razumom in vestjo in bi morali ravnati drug z drugim kakor bratje."},
    {"hr",
     "Sva ljudska bića rađaju se slobodna i jednaka u dostojanstvu i pravima. Ona su obdarena "
     "razumom i sviješću i trebaju jedna prema drugima postupati u duhu bratstva."},
    {"hu", "Minden emberi lény szabadon születik és egyenlő méltósága és joga van. Az emberek, "
           "ésszel és lelkiismerettel bírván, egymással szemben testvéri szellemben kell hogy "
           "viseltessenek."},
    {"ro", "Toate ființele umane se nasc libere și egale în demnitate și în drepturi. Ele sunt "
           "înzestrate cu rațiune și conștiință și trebuie să se comporte unele față de altele în "
           "spiritul fraternității."},
    {"tr", "Bütün insanlar hür, haysiyet ve haklar bakımından eşit doğarlar. Akıl ve vicdana "
           "sahiptirler ve birbirlerine karşı kardeşlik zihniyeti ile hareket etmelidirler."},
    {"az",
     "Bütün insanlar ləyaqət və hüquqlarına görə azad və bərabər doğulurlar. Onların şüurları "
     "və vicdanları var və bir-birlərinə münasibətdə qardaşlıq ruhunda davranmalıdırlar."},
    {"vi", "Tất cả mọi người sinh ra đều được tự do và bình đẳng về nhân phẩm và quyền. Mọi con "
           "người đều được tạo hoá ban cho lý trí và lương tâm và cần phải đối xử với nhau trong "
           "tình bằng hữu."},
    {"id", "Semua orang dilahirkan merdeka dan mempunyai martabat dan hak-hak yang sama. Mereka "
           "dikaruniai akal dan hati nurani dan hendaknya bergaul satu sama lain dalam semangat "
           "persaudaraan."},
    {"tl",
     "Ang lahat ng tao'y isinilang na malaya at pantay-pantay sa karangalan at mga karapatan. "
     "Sila'y pinagkalooban ng katwiran at budhi at dapat magpalagayan ang isa't isa sa diwa "
     "ng pagkakapatiran."},
    {"sq",
     "Të gjithë njerëzit lindin të lirë dhe të barabartë në dinjitet dhe në të drejta. Ata kanë "
     "arsye dhe ndërgjegje dhe duhet të sillen ndaj njëri tjetrit me frymë vëllazërimi."},
    {"is", "Hver maður er borinn frjáls og jafn öðrum að virðingu og réttindum. Menn eru gæddir "
           "vitsmunum og samvisku, og ber þeim að breyta bróðurlega hverjum við annan."},
    {"ga", "Saolaítear na daoine uile saor agus comhionann ina ndínit agus ina gcearta. Tá bua an "
           "réasúin agus an choinsiasa acu agus dlíd iad féin d'iompar de mheon bráithreachais i "
           "leith a chéile."},
    {"cy",
     "Genir pawb yn rhydd ac yn gydradd â'i gilydd mewn urddas a hawliau. Fe'u cynysgaeddir â "
     "rheswm a chydwybod, a dylai pawb ymddwyn y naill at y llall mewn ysbryd cymodlon."},
    {"eu",
     "Gizon-emakume guztiak aske jaiotzen dira, duintasun eta eskubide berberak dituztela; eta "
     "ezaguera eta kontzientzia dutenez gero, elkarren artean senide legez jokatu beharra "
     "dute."},
    {"ca",
     "Tots els éssers humans neixen lliures i iguals en dignitat i en drets. Són dotats de raó "
     "i de consciència, i han de comportar-se fraternalment els uns amb els altres."},
    {"gl", "Tódolos seres humanos nacen libres e iguais en dignidade e dereitos e, dotados como "
           "están de razón e conciencia, díbense comportar fraternalmente uns cos outros."},
    {"af", "Alle menslike wesens word vry, met gelyke waardigheid en regte, gebore. Hulle het rede "
           "en gewete en behoort in die gees van broederskap teenoor mekaar op te tree."},
    {"sw",
     "Watu wote wamezaliwa huru, hadhi na haki zao ni sawa. Wote wamejaliwa akili na dhamiri, "
     "hivyo yapasa watendeane kindugu."},
    {"mt", "Il-bnedmin kollha jitwieldu ħielsa u ugwali fid-dinjità u d-drittijiet. Huma mogħnija "
           "bir-raġuni u bil-kuxjenza u għandhom iġibu ruħhom ma' xulxin bi spirtu ta' aħwa."},
    {"eo",
     "Ĉiuj homoj estas denaske liberaj kaj egalaj laŭ digno kaj rajtoj. Ili posedas racion kaj "
     "konsciencon, kaj devus konduti unu al alia en spirito de frateco."},
    {"la", "Omnes homines dignitate et iure liberi et pares nascuntur, rationis et conscientiae "
           "participes sunt, quibus inter se concordiae studio est agendum."},
    {"ru", "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены "
           "разумом и совестью и должны поступать в отношении друг друга в духе братства."},
    {"uk", "Всі люди народжуються вільними і рівними у своїй гідності та правах. Вони наділені "
           "розумом і совістю і повинні діяти у відношенні один до одного в дусі братерства."},
    {"be", "Усе людзі нараджаюцца свабоднымі і роўнымі ў сваёй годнасці і правах. Яны надзелены "
           "розумам і сумленнем і павінны ставіцца адзін да аднаго ў духу брацтва."},
    {"bg",
     "Всички хора се раждат свободни и равни по достойнство и права. Те са надарени с разум и "
     "съвест и следва да се отнасят помежду си в дух на братство."},
    {"sr", "Сва људска бића рађају се слободна и једнака у достојанству и правима. Она су обдарена "
           "разумом и свешћу и треба једни према другима да поступају у духу братства."},
    {"mk", "Сите човечки суштества се раѓаат слободни и еднакви по достоинство и права. Тие се "
           "обдарени со разум и совест и треба да се однесуваат еден кон друг во духот на "
           "општо човечката припадност."},
    {"kk",
     "Барлық адамдар тумысынан азат және қадір-қасиеті мен құқықтары тең болып дүниеге келеді. "
     "Адамдарға ақыл-парасат, ар-ождан берілген, сондықтан олар бір-бірімен туыстық, "
     "бауырмалдық қарым-қатынас жасаулары тиіс."},
    {"mn",
     "Хүн бүр төрж мэндлэхэд эрх чөлөөтэй, адилхан нэр төртэй, ижил эрхтэй байдаг. Оюун ухаан, "
     "нандин чанар заяасан хүн гэгч өөр хоорондоо ахан дүүгийн үзэл санаагаар харьцах учиртай."},
    {"ar",
     "يولد جميع الناس أحرارًا متساوين في الكرامة والحقوق. وقد وهبوا عقلاً وضميرًا وعليهم أن يعامل "
     "بعضهم بعضًا بروح الإخاء."},
    {"fa", "تمام افراد بشر آزاد به دنیا می‌آیند "
           "و از لحاظ حیثیت و حقوق با هم برابرند. همه دارای عقل "
           "و وجدان هستند و باید نسبت به یکدیگر با روح برادری رفتار کنند."},
    {"ur",
     "تمام انسان آزاد اور حقوق و عزت کے اعتبار سے برابر پیدا ہوئے ہیں۔ انہیں ضمیر اور عقل ودیعت "
     "ہوئی ہے۔ اس لئے انہیں ایک دوسرے کے ساتھ بھائی چارے کا سلوک کرنا چاہیئے۔"},
    {"hi", "सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है। उन्हें बुद्धि और "
           "अन्तरात्मा की देन प्राप्त है और परस्पर उन्हें भाईचारे के भाव से बर्ताव करना चाहिए।"},
    {"mr", "सर्व मानवी व्यक्ती जन्मतःच स्वतंत्र आहेत व त्यांना समान प्रतिष्ठा व समान अधिकार आहेत. त्यांना "
           "विचारशक्ती व सदसद्विवेकबुद्धी लाभलेली आहे व त्यांनी एकमेकांशी बंधुत्वाच्या भावनेने आचरण करावे."},
    {"ne", "सबै व्यक्तिहरू जन्मजात स्वतन्त्र हुन् ती सबैको समान अधिकार र महत्व छ। निजहरूमा विचार शक्ति र "
           "सद्विचार भएकोले निजहरूले आपसमा भातृत्वको भावनाबाट व्यवहार गर्नु पर्छ।"},
    {"zh",
     "人人生而自由，在尊严和权利上一律平等。他们赋有理性和良心，并应以兄弟关系的精神相对待。"},
    {"ja", "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。"},
    {"ko", "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다."},
    {"el", "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα."},
    {"he", "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם."},
    {"th", "มนุษย์ทั้งปวงเกิดมามีอิสระและเสมอภาคกันในเกียรติศักดิ์และสิทธิ"},
    {"ka", "ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით."},
    {"hy", "Բոլոր մարդիկ ծնվում են ազատ ու հավասար՝ իրենց արժանապատվությամբ և իրավունքներով:"},
    {"bn", "সমস্ত মানুষ স্বাধীনভাবে সমান মর্যাদা এবং অধিকার নিয়ে জন্মগ্রহণ করে।"},
    {"ta", "மனிதப் பிறிவியினர் சகலரும் சுதந்திரமாகவே பிறக்கின்றனர்."},
    {"te", "ప్రతిపత్తిస్వత్వముల విషయమున మానవులెల్లరును జన్మతః స్వతంత్రులును సమానులును నగుదురు."},
    {"am", "የሰው ልጅ ሁሉ ሲወለድ ነጻና በክብርና በመብትም እኩልነት ያለው ነው።"},
};

static struct language_guess
detect(const char *text, const char *hint)
{
    return language_detect(slice_string(text), slice_string(hint));
}

Test(language, names_the_language_of_a_paragraph)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        struct language_guess guess = detect(samples[i].text, "");
        cr_expect_str_eq(guess.tag, samples[i].tag, "%s was taken for %s (%.2f)", samples[i].tag,
                         guess.tag, guess.confidence);
        cr_expect(guess.confidence > 0.1 && guess.confidence <= 1, "%s: %.2f", samples[i].tag,
                  guess.confidence);
    }
}

Test(language, a_wrong_claim_does_not_change_a_clear_text)
{
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++) {
        const char *wrong = strcmp(samples[i].tag, "en") == 0 ? "de" : "en-US";
        struct language_guess guess = detect(samples[i].text, wrong);
        cr_expect_str_eq(guess.tag, samples[i].tag, "%s was taken for %s", samples[i].tag,
                         guess.tag);
    }
}

Test(language, the_claim_settles_what_the_words_leave_open)
{
    /* Danish and Norwegian share every word here. */
    static const char both[] = "Det var en dag i mai, og jeg har ikke sett den.";
    static const char names[] = "Berlin Paris Madrid";
    cr_expect_str_eq(detect(both, "da-DK").tag, "da");
    cr_expect_str_eq(detect(both, "nb-NO").tag, "no");
    cr_expect_str_eq(detect(names, "fi").tag, "fi");
    cr_expect(detect(names, "fi").confidence < 0.3);
    cr_expect_str_eq(detect(names, "ru").tag, "", "no Russian is written in this script");
    cr_expect_str_eq(detect("東京都", "ja").tag, "ja");
    cr_expect_str_eq(detect("東京都", "zh-TW").tag, "zh");
}

Test(language, a_claim_that_is_no_tag_is_ignored)
{
    static const char *const claims[] = {"english", "", "-", "x", "12", "e\xff", "deutschlandisch"};
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        cr_expect_str_eq(detect("The cat is on the mat and it was there.", claims[i]).tag, "en");
    }
}

Test(language, says_nothing_without_letters)
{
    static const char *const empty[] = {"", " ", "12345 67.89", "!!! ??? --- $$$",
                                        "\xf0\x9f\x98\x80"};
    for (size_t i = 0; i < sizeof empty / sizeof empty[0]; i++) {
        struct language_guess guess = detect(empty[i], "en");
        cr_expect_str_eq(guess.tag, "");
        cr_expect_float_eq(guess.confidence, 0, 1e-9);
    }
}

Test(language, brand_names_do_not_outvote_ideographs)
{
    cr_expect_str_eq(
        detect("微软公司发布了 Windows Server 的新版本，Apple 和 Google 尚未回应。", "").tag, "zh");
    cr_expect_str_eq(
        detect("ソニーは Sony Interactive Entertainment の新製品を発表した。", "en").tag, "ja");
}

Test(language, reads_bytes_that_are_no_text_without_harm)
{
    uint8_t bytes[5000];
    uint32_t state = 1;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof bytes; i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (uint8_t)(state >> 24);
        }
        struct language_guess guess =
            language_detect(slice_of(bytes, sizeof bytes - (size_t)round), slice_of("en", 2));
        cr_expect(guess.confidence >= 0 && guess.confidence <= 1);
        cr_expect(memchr(guess.tag, 0, sizeof guess.tag) != NULL);
    }
}

Test(language, is_sure_of_a_long_text_and_unsure_of_a_few_words)
{
    const char *text = samples[0].text;
    cr_expect(detect(text, "").confidence > 0.5);
    cr_expect(detect("the end", "").confidence < detect(text, "").confidence);
}

/* language_words_table.h is written by a program: was it run after the last change of the lists? */
Test(language, lists_and_their_table_agree)
{
    for (size_t i = 0; i < language_count; i++) {
        uint64_t hash = LANGUAGE_HASH_START;
        for (const char *at = languages[i].words;; at++) {
            uint8_t byte = (uint8_t)*at;
            if (byte == ' ' || byte == 0) {
                cr_expect(language_word_users(hash) >> i & 1, "%s: before \"%.20s\"",
                          languages[i].tag, at);
                hash = LANGUAGE_HASH_START;
                if (byte == 0) {
                    break;
                }
                continue;
            }
            uint32_t code = byte;
            size_t trail = byte >= 0xe0 ? 2 : byte >= 0xc0 ? 1 : 0;
            code &= trail == 0 ? 0x7f : 0x3fu >> trail;
            for (; trail > 0; trail--) {
                code = code << 6 | ((uint8_t) * ++at & 0x3fu);
            }
            hash = language_hash_add(hash, code);
        }
    }
    cr_expect_eq(language_word_users(LANGUAGE_HASH_START), 0, "no word is no word");
}
