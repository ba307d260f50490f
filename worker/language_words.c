#include "worker/language_words.h"

/* Sorted by hash, and found by it: slots hold a row's number plus one. */
struct user_row {
    uint64_t hash;
    uint64_t users;
};

#include "worker/language_words_table.h"

const struct language_words languages[] = {
    {"en", SCRIPT_LATIN, "",
     "the of and to in is that it was for on are with as his they be at this have from or had by "
     "not but what all were we when your can there an which she do their if will how about out "
     "then them would these has more been who its you he said our than my"},
    {"de", SCRIPT_LATIN, "ßäöü",
     "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an "
     "werden aus er hat dass sie nach wird bei einer um am sind noch wie einem über einen so zum "
     "war haben nur oder aber vor zur bis mehr durch man sein wurde ich wir"},
    {"fr", SCRIPT_LATIN, "éèêçàœùû",
     "le de la les des et à un une du en est que qui dans pour au pas sur par ce plus ne se il "
     "sont "
     "avec son mais ou été cette nous vous je être aux comme sa l d qu n s c fait ont elle leur "
     "tout ces même deux si aussi y bien avait"},
    {"es", SCRIPT_LATIN, "ñáéíóú",
     "el la de que y en un una los del se las por con no para es su al lo como más pero sus le ya "
     "o "
     "este sí porque esta entre cuando muy sin sobre también me hasta hay donde quien desde todo "
     "nos durante fue ha ser son está tiene dos años"},
    {"pt", SCRIPT_LATIN, "ãõçáéíóúâêô",
     "de a o que e do da em um para é com não uma os no se na por mais as dos como mas foi ao ele "
     "das tem à seu sua ou ser quando muito há nos já está eu também só pelo pela até isso ela "
     "entre era depois sem mesmo aos são você"},
    {"it", SCRIPT_LATIN, "àèéìòù",
     "di e il la che in a per un del non una con è i le della da si dei al sono come più anche lo "
     "nel alla gli delle ha ma nella su suo questo o se dal l essere stato loro dalla ai degli sua "
     "cui fra tra tutti dopo molto ci quando"},
    {"nl", SCRIPT_LATIN, "ë",
     "de het een van en in is dat op te zijn met voor niet aan er om hij ook als die maar door bij "
     "ze worden uit wordt nog naar heeft tot dan of over hebben ik je was we kan deze zo geen meer "
     "wat al hun wij zich werd haar onder"},
    {"sv", SCRIPT_LATIN, "åäö",
     "och i att det som en på är av för med den till inte har de ett om var jag så vi men kan från "
     "när man sig han då nu ska eller också efter vid mot hade under finns bara blir dem mycket "
     "över alla vara något du hur"},
    {"da", SCRIPT_LATIN, "æøå",
     "og i at det er en til af på for den med som der de ikke har et om var jeg så vi men kan fra "
     "når man sig han nu skal eller også efter ved mod havde under bare bliver dem meget over alle "
     "være noget blev mange hvor deres hvad uden"},
    {"no", SCRIPT_LATIN, "æøå",
     "og i at det er en til av på for den med som der de ikke har et om var jeg så vi men kan fra "
     "når man seg han nå skal eller også etter ved mot hadde under bare blir dem mye over alle "
     "være noe ble mange hvor deres hva uten opp"},
    {"fi", SCRIPT_LATIN, "äö",
     "ja on ei se että hän oli mutta kun niin myös ovat joka tai kuin ole sen jos vain mukaan jo "
     "hänen sitä nyt ollut voi sekä mitä olla vielä kanssa ne tämä ennen minä sitten jälkeen "
     "vuonna mikä ovat olen tässä siitä eivät koko jotka"},
    {"et", SCRIPT_LATIN, "õäöü",
     "ja on ei et see ta kui oli ka mis aga oma siis või ning seda nii selle kes olid tema nad "
     "pole veel mida välja juba üle aasta ma ole väga kuid meie saab olla pärast nende kõik sest "
     "peale enne aastal vaid tuleb"},
    {"lv", SCRIPT_LATIN, "āēīūčģķļņšž",
     "un ir ar no uz kas par ka arī bet to ne ja tika bija kā gan var pēc līdz ko tas pie vai tā "
     "kad viņš lai savu šo kuru tikai šī tiek jau nav laikā gada gadā viņa būt ļoti vēl starp "
     "viens tad mūsu"},
    {"lt", SCRIPT_LATIN, "ėįųąęčšžū",
     "ir kad į yra iš tai su buvo kaip bet ne o už jo apie ar nuo tik jis jau dėl taip metų pat "
     "po prie iki gali būti ji jos jų kurie kas nes turi labai dar savo metais tačiau daugiau "
     "per mes kai to"},
    {"pl", SCRIPT_LATIN, "ąćęłńśźżó",
     "i w z na do się nie to że jest jak o po od za a ale przez są dla co tak przy czy był już "
     "oraz może tylko jego być który jej ich ma także która które tym było ze lub bardzo tego "
     "gdy roku jako jeszcze pod"},
    {"cs", SCRIPT_LATIN, "ěščřžůýáíé",
     "a se v na je že s z do o i to k ve pro za by ale jsou po jako od jeho byl jsem není při tak "
     "co nebo bylo která který které jen však být více aby už byla pouze také když může její roku "
     "této před tím které než"},
    {"sk", SCRIPT_LATIN, "ľščťžýáíéôĺŕňä",
     "a sa v na je že s z do o aj to k vo pre za by ale sú po ako od jeho bol som nie pri tak čo "
     "alebo bolo ktorá ktorý ktoré len však byť viac aby už bola iba tiež keď môže jej roku tejto "
     "pred tým než ich si"},
    {"sl", SCRIPT_LATIN, "čšž",
     "in je v na se da za so s z ki pa ne po pri kot o tudi ter bi bil bila ali od do še to ni "
     "kar ko sem lahko med leta bilo več iz vse če zelo ima saj bo že smo tako njegova"},
    {"hr", SCRIPT_LATIN, "čćđšž",
     "i u je na se da za su od s a ne koji to o kao iz koja će sam što po bi do ili nije ali bio "
     "biti samo već također te može kako koje bila godine godina još više sve prema između ima "
     "kada nakon njegov bilo"},
    {"hu", SCRIPT_LATIN, "őűáéíóöúü",
     "a az és hogy nem is egy ez meg volt el csak de még ha vagy mint már ki azt fel kell mert "
     "lesz nagyon van minden ezt szerint akkor majd sem lehet után között két aki amely több "
     "magyar itt őket pedig olyan"},
    {"ro", SCRIPT_LATIN, "ăâîșțşţ",
     "de și în la a cu pe nu din o un să care este mai pentru sunt se că ce al sau fost ai prin "
     "au lui ale dar după fi ca fie cum foarte era doar când toate acest această lor unei unui "
     "între până te am şi"},
    {"tr", SCRIPT_LATIN, "ğışçöü",
     "ve bir bu da de için ile olarak çok daha olan gibi en o kadar sonra ne var değil ya ise "
     "her mi ancak oldu ki ama olduğunu tarafından bunu veya yıl iki yeni büyük ben sen biz "
     "onun şey nasıl diye olduğu göre hiç"},
    {"az", SCRIPT_LATIN, "əğışçöü",
     "və bir bu da də üçün ilə olan kimi o ki edir sonra isə çox daha onun olub var deyil ən hər "
     "idi azərbaycan görə qədər edən tərəfindən etmək olaraq bütün yeni böyük amma belə ona "
     "onlar mən haqqında ildə"},
    {"vi", SCRIPT_LATIN, "đơưạảấầẩậắằẵặẹẻẽếềểệỉịọỏốồổộớờởợụủứừửữựỳỹ",
     "và của là có không cho được trong một với các người những đã khi này để từ đến về nhiều như "
     "cũng ra tại sẽ vào năm trên còn phải lại làm thì theo nhưng đó hơn sau rất nếu việc bị anh "
     "tôi họ ông"},
    {"id", SCRIPT_LATIN, "",
     "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke karena tersebut "
     "bisa "
     "ada mereka lebih kata tahun sudah atau saat oleh menjadi orang ia telah adalah seperti "
     "sebagai bahwa dapat para harus namun kita dua satu masih hari hanya"},
    {"ms", SCRIPT_LATIN, "",
     "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga saya ke kerana tersebut "
     "boleh "
     "ada mereka lebih kata tahun sudah atau semasa oleh menjadi orang beliau telah ialah seperti "
     "sebagai bahawa dapat para perlu namun kita dua satu masih hari hanya katanya bagi"},
    {"tl", SCRIPT_LATIN, "",
     "ang ng sa na mga ay at para ito niya ni kung hindi siya ko si may nang kanyang pa ako lang "
     "isang mo po naman dahil din rin ka pero nila bago kanilang tao iyon wala ating tayo kami "
     "noong upang"},
    {"sq", SCRIPT_LATIN, "ëç",
     "të e dhe në për me që një i nga është më u se do si ka nuk kjo ky duke janë por ai tij "
     "kanë ishte pas edhe mund këtë saj vetëm shumë tyre ndër gjithë deri kur çdo kishte"},
    {"is", SCRIPT_LATIN, "ðþæöáéíóúý",
     "og að í á er sem það við um var ekki með til hann af en fyrir þess því frá eru þá hefur eða "
     "ég þeir hún hafa svo verið þetta upp eftir sér sé þar hans yfir þegar nú"},
    {"ga", SCRIPT_LATIN, "áéíóú",
     "an na agus a i ar is go le do de sé bhí air ag as ach tá an sin leis níl nach sí mar faoi "
     "chun raibh ní bhfuil seo ina idir dá siad féin gach nuair"},
    {"cy", SCRIPT_LATIN, "ŵŷ",
     "y yn a i o ar mae am wedi ei yr ac ei gan fel hefyd hyn bod oedd ond eu yw neu nid ni sydd "
     "dros mwy pan roedd un rhai bydd iawn wrth hynny"},
    {"eu", SCRIPT_LATIN, "",
     "eta da ez bat du zen ere dira izan baina dute egin hau beste bere duen den oso zuen edo "
     "dela gero hori arte behar gabe horrek zuten dituzte ziren euskal baino batean"},
    {"ca", SCRIPT_LATIN, "àèéíòóúïüç",
     "de la el i que a en els un per una les amb del és no al es com més ha però també va o dels "
     "seva seu aquest aquesta són fins molt ser sobre entre on han ja hi quan després tot sense "
     "l d s pel"},
    {"gl", SCRIPT_LATIN, "ñáéíóú",
     "de a o que e do da en un unha os no non para é con se na por máis as dos como pero foi ao "
     "das ten seu súa ou ser cando moi tamén xa está nos polo pola ata iso ela entre era despois "
     "sen eu galicia"},
    {"af", SCRIPT_LATIN, "ëê",
     "die en van in is het nie wat vir met op te n om dat hy aan sy was ek as sal word hulle kan "
     "ook deur maar ons daar by uit een na so oor toe moet kon jy haar meer of tot"},
    {"sw", SCRIPT_LATIN, "",
     "na ya wa kwa ni katika la za kuwa cha hiyo ambao kama huo huyo yake hii baada watu sana "
     "lakini pia wake hata tu mwaka nchi ili vya alisema wengi kila siku bila juu kutoka ambayo"},
    {"mt", SCRIPT_LATIN, "ħġżċ",
     "il ta li u l fil ma minn għal tal hija dan kien ġew din huwa biex kif jew wkoll aktar mill "
     "meta bħal iżda lill kienet dawn kollha fuq hemm wara mal għall"},
    {"eo", SCRIPT_LATIN, "ĉĝĥĵŝŭ",
     "la kaj de en al estas ne por ke li ĝi kun estis sed kiu el pri kiel oni ili mi tiu ankaŭ "
     "kiuj aŭ pli ĉi dum nur post sur per ŝi kiam ĉiuj tio estas unu"},
    {"la", SCRIPT_LATIN, "",
     "et in est non ad ut cum sed qui quod ex per aut esse quae si nec enim etiam sunt atque hoc "
     "autem quam nam eius ab de quo ne ac se fuit quidem omnia inter"},
    {"ru", SCRIPT_CYRILLIC, "ыэёъ",
     "и в не на я что он с как это по но его к у все а за из от так для же то бы был мы она они "
     "или уже еще только было при если может до есть вы который также когда года ее их мне чтобы "
     "очень быть нет под где"},
    {"uk", SCRIPT_CYRILLIC, "їієґ",
     "і в не на що з у та за до як це від по для але він його так про є ми вони або вже ще лише "
     "було при якщо може бути ви який також коли року її їх мені щоб дуже був під де а й із "
     "вона що"},
    {"be", SCRIPT_CYRILLIC, "ўіыэё",
     "і ў не на што з у да за па як гэта ад для але ён яго так пра а яна мы яны або ужо яшчэ "
     "толькі "
     "было пры калі можа быць вы які таксама года яе іх мне каб вельмі быў пад дзе гэты няма"},
    {"bg", SCRIPT_CYRILLIC, "ъ",
     "на и да в за се от е с че по не са като до при това ще а из няма или които може един който "
     "след само бе много след те той има към още го му всички беше при но си бъде ако както между "
     "ни тя които"},
    {"sr", SCRIPT_CYRILLIC, "ђћџљњј",
     "и у је на се да за су од с а не који то о као из која ће сам што по би до или није али био "
     "бити само већ такође те може како које била године година још више све према између има када "
     "након његов било"},
    {"mk", SCRIPT_CYRILLIC, "ѓќѕљњј",
     "на и во да се од за со е што не го ќе ги како но по до тоа а или кој при сите беше една би "
     "има уште само може биде ја му кога многу кои која тие овој оваа немаше ова бил сè две"},
    {"kk", SCRIPT_CYRILLIC, "әғқңөұүһі",
     "және мен бұл бір үшін деп да де болып бар осы ол оның қазақстан туралы бойынша жылы болған "
     "ең қазақ сол емес жаңа көп кейін дейін бірақ осындай барлық өз біз әр сондай еді"},
    {"ky", SCRIPT_CYRILLIC, "ңөү",
     "жана менен бул бир үчүн деп да болуп бар ал анын кыргызстан тууралуу боюнча жылы болгон эң "
     "кыргыз ошол эмес жаңы көп кийин чейин бирок бардык өз биз ар эле дагы керек"},
    {"mn", SCRIPT_CYRILLIC, "өүэ",
     "байна нь бол юм энэ ба гэж болон байсан бүр тэр их ч монгол улсын хүн он л дээр гэсэн бөгөөд "
     "хийх өөр нэг түүний шинэ зэрэг тухай байгаа бид би хамгийн учир"},
    {"ar", SCRIPT_ARABIC, "يكةىأإؤئ",
     "في من على أن إلى عن مع هذا هذه التي الذي ما لا كان بعد قد كل بين ذلك كما أو ثم حيث لم إن "
     "كانت عند هو هي قبل خلال وقد غير منذ حتى يوم أكثر وهو لكن ولا عام أي"},
    {"fa", SCRIPT_ARABIC, "پچژگیک",
     "و در به از که این را با است برای آن یک تا بر می خود هم شده های شد کرد ما اما نیز او باید "
     "پس اگر هر کند بود دو دیگر یا من شما بین آنها سال ها کرده چه نمی ایران"},
    {"ur", SCRIPT_ARABIC, "ٹڈڑںےہھگپچ",
     "کے کی میں ہے اور سے کا کو اس نے پر ہیں کہ یہ بھی ایک تھا نہیں ہو کر گیا وہ تو جو ان تھے "
     "لئے تھی لیے ہی ساتھ بعد کیا دیا پاکستان اپنے جس گئی کرنے والے ہوئے"},
    {"ps", SCRIPT_ARABIC, "ټډړښځڅېۍ",
     "د په او چې کې نه دی دا له هم ته يې سره څخه ده شوی دې کړي وي به تر هغه خو يو لپاره کال دغه "
     "افغانستان شي کړ وروسته کوي"},
    {"hi", SCRIPT_DEVANAGARI, "",
     "के में की है और से का को पर ने कि यह इस नहीं भी एक हैं कर तो ही लिए कहा गया हो था साथ किया "
     "वह अपने या बाद जो कुछ थे अब जा रहा थी होने तक उन्होंने दिया रहे उनके"},
    {"mr", SCRIPT_DEVANAGARI, "ळ",
     "आणि आहे या व हे ते की तर आहेत हा ही त्या नाही असे केले होते मध्ये एक यांनी करून त्यांनी "
     "झाली झाले केली काही होता मात्र आपल्या त्याच्या पण साठी म्हणून असून होती येथे त्यांच्या"},
    {"ne", SCRIPT_DEVANAGARI, "",
     "छ र को मा यो पनि गरेको छन् भएको गर्न हो ले एक लाई गरी भने तथा गर्ने त्यो नेपाल बताए थियो "
     "उनले गरेका तर हुने भन्ने नेपाली अनि यस भएका हुन्छ गर्दै रहेको कुनै"},
};

const size_t language_count = sizeof languages / sizeof languages[0];

_Static_assert(sizeof languages / sizeof languages[0] <= LANGUAGE_COUNT_MAX, "one bit each");

static uint64_t
users_find(const struct user_row *rows, const uint16_t *slots, size_t slot_count, uint64_t hash)
{
    hash |= 1;
    for (size_t slot = (hash >> 32) & (slot_count - 1); slots[slot] != 0;
         slot = (slot + 1) & (slot_count - 1)) {
        const struct user_row *row = &rows[slots[slot] - 1];
        if (row->hash == hash) {
            return row->users;
        }
    }
    return 0;
}

uint64_t
language_word_users(uint64_t hash)
{
    return users_find(word_rows, word_slots, (size_t)1 << WORD_SLOT_BITS, hash);
}

uint64_t
language_letter_users(uint64_t hash)
{
    return users_find(letter_rows, letter_slots, (size_t)1 << LETTER_SLOT_BITS, hash);
}
