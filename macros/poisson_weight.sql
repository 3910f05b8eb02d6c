{# How often a key is drawn in a bootstrap: a Poisson variable of mean 1 (0 to 9), a function of the text alone, the same on every
   engine. The thresholds are its distribution function, in parts of 10^12. #}
{% macro poisson_weight(key) -%}
    {%- set thresholds = [
        367879441171, 735758882343, 919698602929, 981011843124, 996340153173,
        999405815182, 999916758851, 999989750803, 999998874797,
    ] -%}
    {%- set drawn = "mod(" ~ hash_to_int64(key) ~ ", 1000000000000)" -%}
    case
        {%- for threshold in thresholds %}
        when {{ drawn }} < {{ threshold }} then {{ loop.index0 }}
        {%- endfor %}
        else {{ thresholds | length }}
    end
{%- endmacro %}
