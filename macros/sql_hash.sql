{# A hash of the SQL of some models of this project, whatever their comments, spaces and line ends. Macros that it calls are not in it.
   Usage: '{{ sql_hash(['dataset_candidates', 'observed_objects']) }}' #}
{% macro sql_hash(models) -%}
    {#- a text in quotes stays as it is, whatever it holds -#}
    {%- set comments = modules.re.compile("('[^']*')|[{]#.*?#[}]|--[^\\n]*|/[*].*?[*]/", modules.re.DOTALL) -%}
    {%- set texts = [] -%}
    {%- for model in models if graph.get('nodes') -%}
        {%- set written = graph.nodes['model.' ~ project_name ~ '.' ~ model].raw_code -%}
        {%- do texts.append(comments.sub('\\1 ', written).split() | join(' ')) -%}
    {%- endfor -%}
    {{ return(local_md5(texts | join('\n'))) }}
{%- endmacro %}
